/** What is trusted that should not be is told, once, and nothing else is. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import type { FileOwnership } from '../../src/base/file-access.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { ReplicaSettings } from '../../src/config/settings.ts';
import { formatTrustWarning, trustWarnings } from '../../src/daemon/trust-warnings.ts';
import { Scratch } from '../support/scratch.ts';

const PIN = `SHA256:${'0'.repeat(43)}`;
const AGE = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudexp8esxxpxe4';

function replicasOf(...replicas: object[]): readonly ReplicaSettings[] {
  const dbs = replicas.map((replica, n) => ({ path: `/d${n}.db`, replicas: [replica] }));
  const options = { file: 'c.yml', environment: {}, cwd: '/w', home: '/h' };
  return parseConfig(JSON.stringify({ dbs }), options).config.databases.flatMap((one) => one.replicas);
}

const UID = process.getuid?.() ?? 0;

/** Every file of this mode, and of another user unless it is said. */
function files(mode: number, uid: number = UID + 1): (path: string) => FileOwnership {
  return () => ({ mode: 0o100000 | mode, uid });
}

function told(replica: object, lookAt = files(0o600)): string[] {
  return trustWarnings(replicasOf(replica), undefined, lookAt).map(formatTrustWarning);
}

const S3 = { 'access-key-id': 'a', 'secret-access-key': 'b' };

describe('servers', () => {
  test('any certificate', () => {
    const url = 's3://b/app?endpoint=https://s3.example.com&region=us-east-1';
    assert.match(
      told({ url, ...S3, 'skip-verify': true })[0] ?? '',
      /s3\.example\.com .*`skip-verify` takes any/,
    );
    assert.match(
      told({ url: 's3://b/app', ...S3, 'skip-verify': true })[0] ?? '',
      /^s3:\/\/b\/app .*skip-verify/,
    );
    assert.deepEqual(told({ url, ...S3 }), []);
  });

  test('plain http to another machine, of every kind of destination', () => {
    for (const host of ['s3.example.com', '10.0.0.7:9000', 'minio:9000', '[fd00::7]', '169.254.1.1']) {
      const replicas = [
        { url: `s3://b/app?endpoint=http://${host}&region=us-east-1`, ...S3 },
        { type: 'abs', bucket: 'c', path: 'p', endpoint: `http://${host}/acct`, 'sas-token': 'sv=1&sig=x' },
        { type: 'gcs', bucket: 'c', path: 'p', endpoint: `http://${host}` },
      ];
      for (const replica of replicas) {
        const [warning = '', ...more] = told(replica);
        assert.match(warning, /is another machine and is reached over plain http/);
        assert.deepEqual(more, []);
      }
    }
    for (const endpoint of [
      'https://s3.example.com',
      'http://127.0.0.1:9000',
      'http://localhost:9000',
      'http://[::1]:9000',
    ])
      assert.deepEqual(told({ url: `s3://b/app?endpoint=${endpoint}&region=us-east-1`, ...S3 }), []);
  });

  test('keys over plain http, also as the base of others', () => {
    const sts = { source: 'assume-role', 'role-arn': 'r', endpoint: 'http://sts.example.com' };
    const nested = { source: 'assume-role', 'role-arn': 'r', base: { ...sts } };
    for (const credentials of [sts, nested])
      assert.match(
        told({ url: 's3://b/app', credentials })[0] ?? '',
        /sts\.example\.com .*gives keys over plain http/,
      );
    const metadata = { source: 'instance', endpoint: 'http://169.254.169.254' };
    assert.deepEqual(told({ url: 's3://b/app', credentials: metadata }), []);
  });

  test('a server that nobody verifies', () => {
    const url = 'sftp://u@h/x';
    assert.match(told({ url, 'insecure-host-key': true })[0] ?? '', /is not verified/);
    assert.deepEqual(told({ url, 'host-key': PIN }), []);
  });

  test('a thousand replicas of one server are one warning', () => {
    const url = 's3://b/app?endpoint=http://minio:9000&region=us-east-1';
    const many = Array.from({ length: 1_000 }, (_, n) => ({ url: url.replace('app', `app${n}`), ...S3 }));
    assert.equal(trustWarnings(replicasOf(...many)).length, 1);
  });
});

describe('files', () => {
  const sftp = { url: 'sftp://u@h/x', 'host-key': PIN };
  const SECRETS: readonly [name: string, replica: object][] = [
    ['age identities', { path: '/r', age: { recipients: [AGE], 'identities-file': '/secret' } }],
    ['age passphrase', { path: '/r', age: { 'passphrase-file': '/secret' } }],
    ['gcs', { type: 'gcs', bucket: 'c', path: 'p', 'credentials-file': '/secret' }],
    ['env-file', { url: 's3://b/a', credentials: { source: 'env-file', path: '/secret' } }],
    [
      'web identity',
      { url: 's3://b/a', credentials: { source: 'web-identity', 'role-arn': 'r', 'token-file': '/secret' } },
    ],
  ];

  for (const [name, replica] of SECRETS) {
    test(`${name}: others read or write it`, () => {
      for (const mode of [0o666, 0o644, 0o606, 0o660, 0o622])
        assert.match(
          told(replica, files(mode))[0] ?? '',
          /^\/secret holds a secret, and its permissions are 0\d{3}, (read|writ)able by/,
        );
      for (const mode of [0o600, 0o400, 0o640, 0o440]) assert.deepEqual(told(replica, files(mode)), []);
    });
  }

  test(
    'an SSH key is refused when it is ours, and told of when it is not',
    { skip: process.getuid === undefined },
    () => {
      const replica = { ...sftp, 'key-path': '/key' };
      assert.match(
        told(replica, files(0o640, UID))[0] ?? '',
        /^\/key is refused as a private key: .* 0640, readable by its group/,
      );
      assert.match(
        told(replica, files(0o644))[0] ?? '',
        /^\/key holds a secret, and its permissions are 0644/,
      );
      assert.deepEqual(told(replica, files(0o640)), []);
    },
  );

  test('what says who is trusted may be read, and not written', () => {
    const known = { url: 'sftp://u@h/x', 'known-hosts': '/known' };
    const recipients = { path: '/r', age: { 'recipients-file': '/known' } };
    for (const replica of [known, recipients]) {
      assert.match(
        told(replica, files(0o646))[0] ?? '',
        /^\/known says who is trusted, and .*writable by others/,
      );
      assert.deepEqual(told(replica, files(0o644)), []);
    }
    const own = trustWarnings([], '/c.yml', files(0o666)).map(formatTrustWarning);
    assert.match(own[0] ?? '', /^\/c\.yml says who is trusted, and .*0666/);
    for (const mode of [0o644, 0o664]) assert.deepEqual(trustWarnings([], '/c.yml', files(mode)), []);
  });

  test('a key in an HSM, and a file that is not there, are no files', () => {
    const privateKey = 'pkcs11:token=t;object=o';
    const iot = {
      source: 'iot',
      endpoint: 'e',
      'role-alias': 'a',
      'thing-name': 't',
      'certificate-file': '/c',
    };
    const replica = { url: 's3://b/a', credentials: { ...iot, 'private-key': privateKey } };
    assert.deepEqual(told(replica, files(0o666)), []);
    assert.deepEqual(
      told({ ...sftp, 'key-path': '/nowhere/at/all' }, () => undefined as never),
      [],
    );
  });

  test('files are looked at where they are', { skip: process.getuid === undefined }, () => {
    using scratch = new Scratch();
    const path = scratch.file('id');
    writeFileSync(path, '');
    chmodSync(path, 0o666);
    const replicas = replicasOf({ path: '/r', age: { recipients: [AGE], 'identities-file': path } });
    assert.match(formatTrustWarning(trustWarnings(replicas)[0]!), /0666/);
  });
});
