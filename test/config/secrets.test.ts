import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { effectiveConfig, effectiveConfigYaml } from '../../src/config/effective.ts';
import type { KeySpec } from '../../src/config/key-spec.ts';
import { SECTIONS } from '../../src/config/schema.ts';
import { Scratch } from '../support/scratch.ts';
import { firstReplica, parse, problemsOf, withReplica } from './support.ts';

const KEY_32 = Buffer.alloc(32, 7).toString('base64');

function inFile(context: { after(fn: () => unknown): void }, content: string): string {
  const scratch = new Scratch();
  context.after(() => scratch[Symbol.dispose]());
  const path = join(scratch.path, 'secret');
  writeFileSync(path, content);
  return path;
}

const PLACES: Readonly<Record<string, readonly [string, string]>> = {
  'account-key': ['abs://a@c/x', 'hunter2'],
  'sas-token': ['abs://a@c/x', 'sig=hunter2'],
  password: ['sftp://u@h/x', 'hunter2'],
  'key-passphrase': ['sftp://u@h/x', 'hunter2'],
  'sse-customer-key': ['s3://b/x', KEY_32],
};

for (const [key, [url, secret]] of Object.entries(PLACES)) {
  const fileKey = key === 'sse-customer-key' ? 'sse-customer-key-path' : `${key}-file`;
  const property = propertyOf(key);

  test(`${fileKey} holds ${key}, without the end of its line`, (context) => {
    for (const end of ['', '\n', '\r\n']) {
      const path = inFile(context, `${secret}${end}`);
      const { config } = parse(withReplica(`url: ${url}`, `${fileKey}: ${path}`));
      const { destination } = firstReplica({ config, warnings: [] });
      assert.equal((destination as unknown as Record<string, unknown>)[property], secret);
      const shown = JSON.stringify(effectiveConfig(config));
      assert.ok(!shown.includes(secret) && !shown.includes('***') && shown.includes(path), shown);
      assert.deepEqual(parse(effectiveConfigYaml(config)).config, config);
    }
  });

  test(`${key} beside ${fileKey} is an error with its line`, (context) => {
    const path = inFile(context, secret);
    const problems = problemsOf(withReplica(`url: ${url}`, `${key}: ${secret}`, `${fileKey}: ${path}`));
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', new RegExp(`^6:\\d+ .*${fileKey}: cannot be given beside \`${key}\`$`));
    assert.ok(!problems.join().includes(secret));
  });

  test(`a ${fileKey} that cannot be read is an error with its line`, (context) => {
    const missing = withReplica(`url: ${url}`, `${fileKey}: /no/such/file`);
    assert.match(problemsOf(missing)[0] ?? '', /^5:\d+ .*: cannot be read: ENOENT.*\/no\/such\/file/);
    const empty = withReplica(`url: ${url}`, `${fileKey}: ${inFile(context, '\n')}`);
    assert.match(problemsOf(empty)[0] ?? '', /is a file without content/);
    const device = withReplica(`url: ${url}`, `${fileKey}: /dev/zero`);
    assert.match(problemsOf(device)[0] ?? '', /too long/);
  });
}

function propertyOf(key: string): string {
  const [property] = Object.entries(SECTIONS.replica).find(([, spec]) => spec.key === key) ?? [];
  return property ?? assert.fail(key);
}

test('every secret of a replica has a file form, and every file form a secret', () => {
  for (const specs of [SECTIONS.root, SECTIONS.replica, SECTIONS.credentials]) {
    const all = Object.entries<KeySpec>(specs);
    const withFile = new Set(all.flatMap(([, { fileOf }]) => fileOf ?? []));
    for (const [property, { secret }] of all) {
      if (secret === true) assert.ok(withFile.has(property), property);
    }
    for (const property of withFile) assert.ok(property in specs, property);
  }
});

test('files with S3 keys are named, not read: they are read again later', () => {
  const text = withReplica(
    'url: s3://b/x',
    'access-key-id: A',
    'secret-access-key-file: keys/secret',
    'session-token-file: ~/token',
  );
  const { destination } = firstReplica(parse(text));
  assert.ok(destination.type === 's3');
  assert.deepEqual(
    [destination.accessKeyId, destination.secretAccessKeyFile, destination.sessionTokenFile],
    ['A', '/srv/dir/keys/secret', '/home/me/token'],
  );
  assert.equal(destination.secretAccessKey, undefined);
});

test('customer keys are whole, have one algorithm, and are not sent in the clear', () => {
  const problem = (...lines: string[]): string => problemsOf(withReplica('url: s3://b/x', ...lines)).join();
  assert.match(problem('sse-customer-key: hunter2'), /not 32 bytes in base64/);
  assert.ok(!problem('sse-customer-key: hunter2').includes('hunter2'));
  assert.match(problem('sse-customer-algorithm: AES256'), /needs `sse-customer-key`/);
  assert.match(problem(`sse-customer-key: ${KEY_32}`, 'sse-customer-algorithm: DES'), /must be AES256/);
  assert.match(problem(`sse-customer-key: ${KEY_32}`, 'sse-kms-key-id: k'), /choose one/);
  assert.match(problem(`sse-customer-key: ${KEY_32}`, 'endpoint: http://example.org'), /in the clear/);
  for (const endpoint of [
    'https://example.org',
    'http://localhost:1',
    'http://10.0.0.1',
    'http://[fd00::1]:9000',
  ]) {
    const text = withReplica('url: s3://b/x', `sse-customer-key: ${KEY_32}`, `endpoint: ${endpoint}`);
    const { destination } = firstReplica(parse(text));
    assert.equal(destination.type === 's3' && destination.sseCustomerAlgorithm, 'AES256');
  }
});

test('Azure: a signature or a key; what is written wins over the environment', () => {
  const environment = { LITESTREAM_AZURE_ACCOUNT_KEY: 'EK', LITESTREAM_AZURE_SAS_TOKEN: '?ES' };
  const read = (lines: string[], env: NodeJS.ProcessEnv = {}): unknown => {
    const { destination } = firstReplica(parse(withReplica('url: abs://a@c/x', ...lines), env));
    return destination.type === 'abs' && [destination.accountKey, destination.sasToken];
  };
  assert.deepEqual(read([]), [undefined, undefined]);
  assert.deepEqual(read([], environment), [undefined, 'ES']);
  assert.deepEqual(read(['account-key: K'], environment), ['K', undefined]);
  assert.deepEqual(read(['sas-token: "?S"'], environment), [undefined, 'S']);
  const both = withReplica('url: abs://a@c/x', 'account-key: hunter2', 'sas-token: hunter3');
  assert.match(problemsOf(both).join(), /choose one/);
  assert.ok(!/hunter/.test(problemsOf(both).join()));
  assert.match(problemsOf(withReplica('url: abs://c/x')).join(), /names no account-name/);
});

const FINGERPRINT = `SHA256:${'a'.repeat(43)}`;
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)}`;

test('SFTP: a server that is not verified is warned of', () => {
  const insecure = parse(withReplica('url: sftp://u@h/x', 'insecure-host-key: true'));
  assert.match(insecure.warnings[0]?.message ?? '', /not verified/);
  const both = withReplica('url: sftp://u@h/x', 'insecure-host-key: true', `host-key: ${FINGERPRINT}`);
  assert.match(problemsOf(both).join(), /contradicts/);
  const list = firstReplica(
    parse(withReplica('url: sftp://u@h/x', `host-key: [${PUBLIC_KEY}, ${FINGERPRINT}]`)),
  );
  assert.deepEqual(list.destination.type === 'sftp' && list.destination.hostKeys, [PUBLIC_KEY, FINGERPRINT]);
  assert.match(problemsOf(withReplica('url: sftp://u@h/x', 'host-key: ssh-ed25519')).join(), /ssh-keyscan/);
  assert.match(problemsOf(withReplica('type: sftp', 'host: h:22:33', 'user: u')).join(), /host or host:port/);
  const user = problemsOf(withReplica('type: sftp', 'host: u:hunter2@h', 'user: u'));
  assert.ok(user.length > 0 && !user.join().includes('hunter2'));
});

test('a directory in place of a secret file is refused', (context) => {
  const scratch = new Scratch();
  context.after(() => scratch[Symbol.dispose]());
  mkdirSync(join(scratch.path, 'd'));
  const text = withReplica('url: sftp://u@h/x', `password-file: ${join(scratch.path, 'd')}`);
  assert.match(problemsOf(text).join(), /cannot be read: EISDIR/);
});

test('a recipient that is a secret key, or no key at all, is refused with its place and not shown', () => {
  const ofRecipients = (list: string): string[] =>
    problemsOf(withReplica('path: /r', `age: {recipients: ${list}}`));
  const secret = 'AGE-SECRET-KEY-1HUNTER2';
  const [problem = '', ...more] = ofRecipients(`[age1x, ${secret}]`);
  assert.match(problem, /^\d+:\d+ dbs\[0\]\.replicas\[0\]\.age\.recipients: entry 2, line 1: .* is secret; /);
  assert.doesNotMatch(problem, /HUNTER2/);
  assert.deepEqual(more, []);
  assert.match(ofRecipients('[hunter2]')[0]!, /entry 1, line 1: expected a recipient/);
  assert.match(ofRecipients('["ssh-ed25519 AAAA me"]')[0]!, /SSH keys are not supported/);
});
