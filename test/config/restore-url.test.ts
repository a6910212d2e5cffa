import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';

import { configFromCommandLine } from '../../src/config/from-command-line.ts';
import { restoreUrl } from '../../src/config/restore-url.ts';
import type { Destination } from '../../src/config/settings.ts';
import { firstReplica, parse, withReplica } from './support.ts';

function destinationOf(keys: Readonly<Record<string, unknown>>): Destination {
  const lines = Object.entries(keys).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return firstReplica(parse(withReplica(...lines))).destination;
}

/** What a command makes of the URL, on the same machine with an empty environment. */
function again(url: string): Destination {
  const config = configFromCommandLine('/a.db', [url], {
    environment: {},
    cwd: '/srv/dir',
    home: '/home/me',
  });
  return config.databases[0]?.replicas[0]?.destination ?? assert.fail('no replica');
}

const word = fc.stringMatching(/^[a-z][a-z0-9-]{1,12}[a-z0-9]$/);
const path = fc
  .array(fc.stringMatching(/^[\w äß?#%&+=:@~'"-]{1,10}$/), { maxLength: 4 })
  .map((parts) => parts.join('/'))
  .filter((text) => !/^ | $|^\.+$|%/.test(text) && text.trim() !== '');
const host = fc.oneof(
  word,
  fc.constant('127.0.0.1'),
  fc.constant('[::1]'),
  fc.constant('localhost'),
  fc.constantFrom('s3.fr-par.scw.cloud', 't3.storage.dev', 'nyc3.digitaloceanspaces.com', 's3.example.com'),
);
const endpoint = fc
  .tuple(fc.constantFrom('http', 'https'), host, fc.option(fc.integer({ min: 1, max: 65_535 })))
  .map(([scheme, name, port]) => `${scheme}://${name}${port === null ? '' : `:${port}`}`);
const optional = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.option(value, { nil: undefined });
const file = path.map((text) => `/etc/${text}`.replaceAll(/\/+/g, '/'));

const s3 = fc.record({
  type: fc.constant('s3'),
  bucket: fc.oneof(
    word,
    fc.constantFrom(
      'my.bucket',
      'tenant:bucket',
      'tenant:my.bucket',
      ':bucket',
      'arn:aws:s3:eu-west-1:123456789012:accesspoint/point',
    ),
  ),
  path: optional(path),
  endpoint: optional(endpoint),
  region: optional(word),
  'force-path-style': optional(fc.boolean()),
  'skip-verify': optional(fc.boolean()),
  profile: optional(word),
});
const gcs = fc.record({
  type: fc.constant('gcs'),
  bucket: word,
  path: optional(path),
  endpoint: optional(endpoint),
});
const abs = fc.record({
  type: fc.constant('abs'),
  bucket: word,
  'account-name': word,
  path: optional(path),
  endpoint: optional(endpoint.map((text) => `${text}/account`)),
});
const sftp = fc.record({
  type: fc.constant('sftp'),
  host: fc.oneof(
    word,
    word.map((name) => `${name}:2222`),
    fc.constant('[::1]:22'),
  ),
  user: fc.oneof(word, fc.constant('me@there')),
  path: path.map((text) => `/${text}`),
  'key-path': optional(file),
  'known-hosts': optional(file),
  agent: optional(file),
  'host-key': optional(
    fc.array(
      fc.constantFrom(
        'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI+/+EXAMPLE=',
        `SHA256:${'aB+/'.repeat(10)}xyz`,
        'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=',
      ),
      { minLength: 1, maxLength: 3 },
    ),
  ),
});

function given(keys: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
}

/** Backends pass over slashes at the ends of a prefix. */
function place(destination: Destination): Destination {
  if (destination.type === 'file' || destination.type === 'sftp') return destination;
  return { ...destination, path: destination.path.replaceAll(/^\/+|\/+$/g, '') };
}

test('a URL to restore from says what the configuration said, for every type', () => {
  fc.assert(
    fc.property(fc.oneof(s3, gcs, abs, sftp), (keys) => {
      const destination = destinationOf(given(keys));
      const url = restoreUrl(destination) ?? assert.fail('no URL');
      assert.deepEqual(place(again(url)), place(destination), url);
    }),
    { numRuns: 500 },
  );
});

test('secrets stay out of it, the files that hold them do not', () => {
  const secret = 'hunter2hunter2';
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
    [
      {
        type: 's3',
        bucket: 'b',
        path: 'x',
        endpoint: 'https://h',
        'access-key-id': 'AKIA',
        'secret-access-key': secret,
      },
      's3://b/x?endpoint=https://h',
    ],
    [{ url: `sftp://u:${secret}@h/x`, 'insecure-host-key': true }, 'sftp://u@h/x?insecure-host-key=true'],
    [
      { url: 'sftp://u@h/x', 'key-path': '/k', 'key-passphrase': secret },
      'sftp://u@h/x?key-path=/k&known-hosts=/h',
    ],
    [{ url: 'abs://a@c/x', 'account-key': secret }, 'abs://a@c/x'],
  ];
  for (const [keys, url] of cases) {
    const more = 'key-path' in keys ? { 'known-hosts': '/h' } : {};
    assert.equal(restoreUrl(destinationOf({ ...keys, ...more })), url);
  }
});

test('a bucket of another tenant, as Ceph names it, has a form that is read again', () => {
  const destination = destinationOf({
    type: 's3',
    bucket: 'acme:app',
    path: 'db',
    endpoint: 'http://rgw:7480',
  });
  const url = restoreUrl(destination);
  assert.equal(url, 's3://acme%3Aapp/db?endpoint=http://rgw:7480');
  assert.deepEqual(again(url), destination);
  assert.throws(() => again('s3://acme:app/db?endpoint=http://rgw:7480'), /is written %3A/);
});

test('where the host can say it all, other tools can read the URL, too', () => {
  const urls: Record<string, string> = {
    's3://b.localhost:9000/x': 's3://b.localhost:9000/x',
    's3://b.s3.fr-par.scw.cloud/x/y': 's3://b.s3.fr-par.scw.cloud/x/y',
    's3://b/x?endpoint=https://nyc3.digitaloceanspaces.com': 's3://b.nyc3.digitaloceanspaces.com/x',
    's3://bkt/x?endpoint=http://minio:9000': 's3://bkt.minio:9000/x',
    's3://bkt/x?endpoint=https://minio:9000': 's3://bkt/x?endpoint=https://minio:9000',
    's3://bkt/x?region=eu-west-1': 's3://bkt/x?region=eu-west-1',
  };
  for (const [url, shown] of Object.entries(urls)) assert.equal(restoreUrl(again(url)), shown);
});
