import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { test } from 'node:test';

import { systemClock } from '../../src/base/clock.ts';
import { isRivuletError } from '../../src/base/errors.ts';
import { IotSource } from '../../src/credentials/iot.ts';
import type { IotSettings } from '../../src/credentials/settings.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { makeIdentity } from '../support/certificates.ts';
import type { Identity } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Scratch } from '../support/scratch.ts';
import { failureOf, startEndpoint } from './support.ts';
import type { Endpoint } from './support.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const AUTHORITY = makeIdentity({ name: 'Test authority' });
const SERVER = makeIdentity({ name: 'localhost', issuer: AUTHORITY });
const DEVICE = makeIdentity({ name: 'device-1', issuer: AUTHORITY });

const EXPIRATION = '2099-01-18T09:18:06Z';

/** As the service answers: the documented object, or its refusals. */
const answer: RequestListener = (request, response) => {
  response.setHeader('content-type', 'application/json');
  if (request.url !== '/role-aliases/backup-alias/credentials') {
    response.statusCode = 404;
    response.end(JSON.stringify({ message: 'Role alias does not exist' }));
    return;
  }
  const credentials = {
    accessKeyId: `ASIA-${(request.socket as TLSSocket).getPeerCertificate().subject.CN as string}`,
    secretAccessKey: SECRET,
    sessionToken: 'token',
    expiration: EXPIRATION,
  };
  response.end(JSON.stringify({ credentials }));
};

async function start(listener: RequestListener = answer, server = SERVER): Promise<Endpoint> {
  return startEndpoint(listener, {
    cert: server.certificate,
    key: server.key,
    ca: AUTHORITY.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  });
}

class Device implements Disposable {
  readonly #scratch = new Scratch();
  readonly settings: IotSettings;

  constructor(endpoint: Endpoint, more: Partial<IotSettings> = {}, identity: Identity = DEVICE) {
    this.write('device.crt', identity.certificate);
    this.write('device.key', identity.key);
    this.write('ca.crt', AUTHORITY.certificate);
    this.settings = {
      source: 'iot',
      endpoint: `localhost:${endpoint.port}`,
      roleAlias: 'backup-alias',
      certificateFile: this.#scratch.file('device.crt'),
      privateKey: this.#scratch.file('device.key'),
      caFile: this.#scratch.file('ca.crt'),
      ...more,
    };
  }

  write(name: string, text: string): string {
    const path = this.#scratch.file(name);
    writeFileSync(path, text);
    return path;
  }

  async fetch(environment: NodeJS.ProcessEnv = process.env, clock = systemClock): Promise<AwsKeys> {
    return new IotSource(this.settings, environment, clock).fetch(new AbortController().signal);
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

test('keys come by mutual TLS, with the thing name when there is one', async () => {
  await using endpoint = await start();
  using device = new Device(endpoint, { thingName: 'pi-7' });
  assert.deepEqual(await device.fetch(), {
    accessKeyId: 'ASIA-device-1',
    secretAccessKey: SECRET,
    sessionToken: 'token',
    expiresAtMs: Date.parse(EXPIRATION),
  });
  assert.equal(endpoint.requests[0]!.headers['x-amzn-iot-thingname'], 'pi-7');
  using other = new Device(endpoint);
  await other.fetch();
  assert.equal(endpoint.requests[1]!.headers['x-amzn-iot-thingname'], undefined);
});

test('a renewed certificate and key are used at the next connection', async () => {
  await using endpoint = await start();
  using device = new Device(endpoint);
  const source = new IotSource(device.settings, process.env, systemClock);
  const { signal } = new AbortController();
  assert.equal((await source.fetch(signal)).accessKeyId, 'ASIA-device-1');
  const renewed = makeIdentity({ name: 'device-2', issuer: AUTHORITY });
  device.write('device.crt', renewed.certificate);
  device.write('device.key', renewed.key);
  assert.equal((await source.fetch(signal)).accessKeyId, 'ASIA-device-2');
});

test('an encrypted key needs its passphrase, from the settings or a file', async () => {
  await using endpoint = await start();
  using device = new Device(endpoint);
  const encrypted = createPrivateKey(DEVICE.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'open sesame',
  });
  device.write('device.key', encrypted.toString());
  const withMore = async (more: Partial<IotSettings>): Promise<AwsKeys> =>
    new IotSource({ ...device.settings, ...more }, process.env, systemClock).fetch(
      new AbortController().signal,
    );
  assert.match((await failureOf(withMore({}))).message, /is encrypted and there is no passphrase/);
  const wrong = await failureOf(withMore({ passphrase: 'wrong-one' }));
  assert.match(wrong.message, /the passphrase does not open the private key/);
  assert.ok(!wrong.message.includes('wrong-one'));
  assert.equal((await withMore({ passphrase: 'open sesame' })).secretAccessKey, SECRET);
  const passphraseFile = device.write('passphrase', 'open sesame\n');
  assert.equal((await withMore({ passphraseFile })).secretAccessKey, SECRET);
});

interface Case {
  readonly title: string;
  readonly message: RegExp;
  readonly hint?: RegExp;
  readonly more?: Partial<IotSettings>;
  readonly identity?: Identity;
  readonly server?: Identity;
  readonly listener?: RequestListener;
  readonly clock?: FakeClock;
}

const STRANGER = makeIdentity({ name: 'stranger' });
const past = (days: number): Date => new Date(Date.now() - days * 86_400_000);

const CASES: readonly Case[] = [
  {
    title: 'a certificate that the endpoint does not know',
    identity: STRANGER,
    message: /refused the device's certificate/,
    hint: /registered, active/,
  },
  {
    title: 'a certificate that has expired',
    identity: makeIdentity({ name: 'old', issuer: AUTHORITY, notBefore: past(9), notAfter: past(2) }),
    message: /device\.crt was valid until .* by this machine's clock/,
  },
  {
    title: 'a certificate from the future, by a clock that lost its battery',
    clock: new FakeClock(Date.parse('2000-01-01T00:00:00Z')),
    message: /is valid from .* it is 2000-01-01T00:00:00.000Z by this machine's clock/,
  },
  {
    title: 'an endpoint that is not trusted',
    server: STRANGER,
    message: /its certificate is not trusted here/,
    hint: /CA file/,
  },
  {
    title: "an endpoint's certificate that has expired",
    server: makeIdentity({ name: 'localhost', issuer: AUTHORITY, notBefore: past(9), notAfter: past(2) }),
    message: /not valid at this time/,
    hint: /date and time/,
  },
  {
    title: 'a role alias that it may not use',
    listener: (_request, response) => {
      response.writeHead(403, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ message: 'Access Denied' }));
    },
    message: /status 403: Access Denied/,
    hint: /iot:AssumeRoleWithCertificate on the role alias backup-alias/,
  },
  {
    title: 'a clock that is off, told by the answer',
    listener: (_request, response) => {
      response.writeHead(403, { date: new Date(Date.now() + 3 * 3_600_000).toUTCString() });
      response.end();
    },
    message: /this machine's clock is 180 min behind/,
    hint: /date and time/,
  },
  {
    title: 'a role alias that is not there',
    more: { roleAlias: 'nope' },
    message: /404: Role alias/,
    hint: /describe-endpoint/,
  },
  { title: 'an endpoint that is down', more: { endpoint: 'localhost:1' }, message: /nobody listens there/ },
  { title: 'a host that does not exist', more: { endpoint: 'endpoint.invalid' }, message: /host name/ },
  {
    title: 'a certificate file that is not there',
    more: { certificateFile: '/nonexistent.crt' },
    message: /certificate file cannot be read/,
  },
  {
    title: 'a key of another certificate',
    identity: { ...DEVICE, key: STRANGER.key },
    message: /does not belong to the certificate/,
  },
  {
    title: 'a key file with something else',
    identity: { ...DEVICE, key: 'hello\n' },
    message: /holds no private key in PEM/,
  },
  {
    title: 'a certificate file with something else',
    identity: { ...DEVICE, certificate: 'hello\n' },
    message: /holds no certificate in PEM/,
  },
  {
    title: 'an answer that is not keys',
    listener: (_request, response) =>
      response.end(JSON.stringify({ credentials: { secretAccessKey: SECRET } })),
    message: /its answer has no accessKeyId and secretAccessKey/,
  },
  {
    title: 'an endpoint that never answers',
    listener: () => undefined,
    more: { timeoutMs: 200 },
    message: /no answer within 0\.2 s/,
  },
  {
    title: 'an HSM whose engine is not installed',
    more: { privateKey: 'pkcs11:token=dev;object=key?pin-value=8642', engine: '/nonexistent/pkcs11.so' },
    message: /engine \/nonexistent\/pkcs11\.so cannot be loaded/,
    hint: /libengine-pkcs11-openssl/,
  },
];

for (const { title, message, hint, more, identity, server, listener, clock } of CASES) {
  test(`it says so: ${title}`, async () => {
    await using endpoint = await start(listener, server);
    using device = new Device(endpoint, more, identity);
    const error = await failureOf(device.fetch(process.env, clock));
    assert.ok(isRivuletError(error, 'CREDENTIALS_FAILED'), String(error));
    assert.match(error.message, message);
    if (hint !== undefined) assert.match(error.hint ?? '', hint);
    assert.doesNotMatch(
      JSON.stringify([error.message, error.hint, error.details, error.stack]),
      /8642|wJalr/,
    );
  });
}
