/** Whatever goes wrong in a source, no log line, error, hint, cause, detail or status shows a secret. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { systemClock } from '../../src/base/clock.ts';
import { openKeySource } from '../../src/credentials/open.ts';
import { redact } from '../../src/credentials/redact.ts';
import type { CredentialSettings } from '../../src/credentials/settings.ts';
import { makeIdentity } from '../support/certificates.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';
import { failureOf, startEndpoint } from './support.ts';
import type { Endpoint } from './support.ts';

const SECRET = 'q7Wm2ZtYx9LkPp0RrSv4NnBb8CcDd6FfGgHh1JjK';
const DEVICE = makeIdentity({ name: 'device' });

type Failing = (scratch: Scratch, endpoint: Endpoint) => CredentialSettings;

function put(scratch: Scratch, name: string, text: string): string {
  writeFileSync(scratch.file(name), text);
  return scratch.file(name);
}

const FAILING: Readonly<Record<string, Failing>> = {
  'static without a key': () => ({ source: 'static', secretAccessKey: SECRET }),
  'key files, one with two words': (scratch) => ({
    source: 'static',
    accessKeyIdFile: put(scratch, 'id', 'id\n'),
    secretAccessKeyFile: put(scratch, 'secret', `${SECRET} ${SECRET}\n`),
  }),
  'the environment without a key': () => ({ source: 'environment' }),
  'an environment file without a key': (scratch) => ({
    source: 'env-file',
    path: put(scratch, 'env', `AWS_SECRET_ACCESS_KEY=${SECRET}\n`),
  }),
  'an environment file with an open quote': (scratch) => ({
    source: 'env-file',
    path: put(scratch, 'env', `AWS_SECRET_ACCESS_KEY="${SECRET}\n`),
  }),
  'a profile without a key': (scratch) => ({
    source: 'profile',
    credentialsFile: put(scratch, 'credentials', `[default]\naws_secret_access_key = ${SECRET}\n`),
    configFile: '/nonexistent',
  }),
  'a process that prints and complains': (scratch) => ({
    source: 'process',
    command: `"${process.execPath}" "${put(scratch, 'a.mjs', `console.log('${SECRET}'); console.error('${SECRET}'); process.exit(1)`)}" ${SECRET}`,
  }),
  'a process that prints half': (scratch) => ({
    source: 'process',
    command: `"${process.execPath}" "${put(scratch, 'a.mjs', `console.log('{"Version":1,"SecretAccessKey":"${SECRET}"')`)}"`,
  }),
  'a role that is refused': (_scratch, endpoint) => ({
    source: 'assume-role',
    roleArn: 'arn:aws:iam::1:role/r',
    endpoint: endpoint.url,
    region: 'x',
    base: { source: 'static', accessKeyId: 'id', secretAccessKey: SECRET, sessionToken: SECRET },
  }),
  'a web identity that is refused': (scratch, endpoint) => ({
    source: 'web-identity',
    roleArn: 'arn:aws:iam::1:role/r',
    endpoint: endpoint.url,
    tokenFile: put(scratch, 'token', SECRET),
  }),
  'a container endpoint that repeats it': (_scratch, endpoint) => ({
    source: 'container',
    url: endpoint.url,
  }),
  'instance metadata that repeats it': (_scratch, endpoint) => ({
    source: 'instance',
    endpoint: endpoint.url,
  }),
  'an IoT endpoint without TLS': (scratch, endpoint) => ({
    source: 'iot',
    endpoint: `127.0.0.1:${endpoint.port}`,
    roleAlias: 'r',
    certificateFile: put(scratch, 'crt', DEVICE.certificate),
    privateKey: put(scratch, 'key', DEVICE.key),
  }),
  'an encrypted device key': (scratch) => ({
    source: 'iot',
    endpoint: 'localhost:1',
    roleAlias: 'r',
    certificateFile: put(scratch, 'crt', DEVICE.certificate),
    privateKey: put(
      scratch,
      'key',
      DEVICE.privateKey
        .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'another' })
        .toString(),
    ),
    passphrase: SECRET,
  }),
  'an HSM that is not there': (scratch) => ({
    source: 'iot',
    endpoint: 'localhost:1',
    roleAlias: 'r',
    certificateFile: put(scratch, 'crt', DEVICE.certificate),
    privateKey: `pkcs11:token=t;object=o?pin-value=${SECRET}`,
    engine: '/nonexistent/pkcs11.so',
  }),
  'an HSM with a command for its PIN': (scratch) => ({
    source: 'iot',
    endpoint: 'localhost:1',
    roleAlias: 'r',
    certificateFile: put(scratch, 'crt', DEVICE.certificate),
    privateKey: `pkcs11:token=t;object=o?pin-source=|echo%20${SECRET}`,
    engine: '/nonexistent/pkcs11.so',
  }),
};

for (const [title, failing] of Object.entries(FAILING)) {
  test(title, async () => {
    using scratch = new Scratch();
    await using endpoint = await startEndpoint((_request, response) => {
      response.writeHead(403, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ message: `no: ${SECRET}`, SecretAccessKey: SECRET }));
    });
    const logger = new RecordingLogger();
    const environment = { PATH: process.env['PATH'], AWS_SECRET_ACCESS_KEY: SECRET };
    const settings = failing(scratch, endpoint);
    await using keeper = openKeySource(settings, { clock: systemClock, logger, environment });
    const error = await failureOf(keeper.current());
    await keeper.reload();
    const told = inspect([error, keeper.status, logger.lines], { depth: 12, showHidden: true });
    assert.ok(logger.lines.length > 0);
    assert.ok(!told.includes(SECRET), told);
  });
}

test('what looks like a secret is taken out of what others wrote, and the rest stays readable', () => {
  const cases: [string, string][] = [
    ['cannot reach /opt/bin/aws-tool on host-7', 'cannot reach /opt/bin/aws-tool on host-7'],
    [`bad ${SECRET}!`, 'bad [hidden]!'],
    ['password=hunter2 user=bob', 'password=[hidden] user=bob'],
    ['{"SessionToken": "abc def", "x": 1}', '{"SessionToken": [hidden], "x": 1}'],
    ['pkcs11:token=a;object=b?pin-value=1234', 'pkcs11:token=[hidden];object=b?pin-value=[hidden]'],
    ['a\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\nb', 'a [hidden] b'],
  ];
  for (const [text, expected] of cases) assert.equal(redact(text), expected);
  assert.ok(redact('x '.repeat(500)).length < 310);
});
