/** Every key of the schema reaches the backend of its type, or is used by something else that is named here. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { credentialSettings } from '../../src/config/credential-settings.ts';
import type { KeySpec, ReplicaType } from '../../src/config/key-spec.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { REPLICA_KEYS } from '../../src/config/schema.ts';
import type { Destination } from '../../src/config/settings.ts';
import {
  absOptions,
  authorityFiles,
  gcsOptions,
  networkLimits,
  s3Options,
  sftpOptions,
} from '../../src/daemon/backend-options.ts';
import { networkBackend } from '../../src/daemon/network-backends.ts';
import { Scratch } from '../support/scratch.ts';

/** Used where no backend sees it. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  // What the destination is, and what its replica is called.
  'type',
  'name',
  'url',
  // The pace of the replica.
  'retentionMs',
  'retentionCheckIntervalMs',
  'syncIntervalMs',
  'snapshotIntervalMs',
  'validationIntervalMs',
  'verify',
  // Around the store.
  'age',
  'lease',
  // The daemon.
  'onAuthFailure',
  'stallAfterMs',
  'onStall',
]);

const KEY_32 = Buffer.alloc(32, 7).toString('base64');

/** What a replica of each type cannot do without; the key under test takes the place of its line. */
const NEEDED: Readonly<Record<Exclude<ReplicaType, 'file'>, Readonly<Record<string, string>>>> = {
  s3: { bucket: 'bkt' },
  gcs: { bucket: 'bkt' },
  abs: { bucket: 'bkt', 'account-name': 'acc' },
  sftp: { host: 'h', user: 'u', path: '/p' },
};

/** Lines without which a key is refused. */
const PARTNERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'access-key-id': { 'secret-access-key': 'x' },
  'access-key-id-file': { 'secret-access-key': 'x' },
  'secret-access-key': { 'access-key-id': 'x' },
  'secret-access-key-file': { 'access-key-id': 'x' },
  'session-token': { 'access-key-id': 'x', 'secret-access-key': 'x' },
  'session-token-file': { 'access-key-id': 'x', 'secret-access-key': 'x' },
  'sse-customer-algorithm': { 'sse-customer-key': KEY_32 },
};

function destinationOf(type: ReplicaType, lines: Readonly<Record<string, string>>): Destination {
  const replica = Object.entries({ type, ...lines }).map(([key, value]) => `${key}: ${value}`);
  const text = `dbs: [{path: /a, replica: {${replica.join(', ')}}}]`;
  const { config } = parseConfig(text, { file: 'f', environment: {} });
  return config.databases[0]?.replicas[0]?.destination ?? assert.fail(text);
}

/** Everything that the backend and what is around it are told, as text. */
async function told(destination: Destination): Promise<string> {
  if (destination.type === 'file') return assert.fail();
  const of = {
    s3: (one: Destination) => one.type === 's3' && [s3Options(one), credentialSettings(one)],
    gcs: (one: Destination) => one.type === 'gcs' && gcsOptions(one),
    abs: (one: Destination) => one.type === 'abs' && absOptions(one),
    sftp: (one: Destination) => one.type === 'sftp' && sftpOptions(one),
  };
  const options = await resolved(of[destination.type](destination));
  const files = destination.type === 'sftp' ? [] : authorityFiles(destination, {});
  return inspect([options, files, networkLimits(destination)], { depth: 9, breakLength: Infinity });
}

/** Secrets in files are ways to read them. */
async function resolved(value: unknown): Promise<unknown> {
  if (typeof value === 'function') return (value as () => Promise<unknown>)();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return Array.isArray(value) ? Promise.all(value.map(resolved)) : value;
  }
  const entries = Object.entries(value).map(async ([key, one]) => [key, await resolved(one)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** Two values of a key that differ in everything. */
function valuesOf(key: string, spec: KeySpec, scratch: Scratch): readonly [string, string] {
  if (key === 'credentials') return ['{source: environment}', '{source: sso}'];
  if (key === 'sse-customer-algorithm') return ['AES256', ''];
  if (key === 'sse-customer-key') return [KEY_32, Buffer.alloc(32, 8).toString('base64')];
  if (key === 'host') return ['one', 'two:22'];
  if (key === 'host-key')
    return ['a', 'b'].map((letter) => `SHA256:${letter.repeat(43)}`) as [string, string];
  if (spec.kind === 'boolean') return ['true', 'false'];
  if (spec.kind === 'count') return ['3', '5'];
  if (spec.kind === 'size') return ['6MiB', '7MiB'];
  if (spec.kind === 'duration') return ['7s', '9s'];
  if (spec.fileOf === undefined) return ['/one', '/two'];
  const secrets = spec.fileOf === 'sseCustomerKey' ? [KEY_32, KEY_32.replaceAll('B', 'C')] : ['one', 'two'];
  const files = secrets.map((secret, at) => {
    const path = scratch.file(`${key}-${at}`);
    writeFileSync(path, secret);
    return path;
  });
  return [files[0] ?? '', files[1] ?? ''];
}

for (const type of ['s3', 'gcs', 'abs', 'sftp'] as const) {
  test(`every key of ${type} replicas is used`, async () => {
    using scratch = new Scratch();
    for (const [property, spec] of Object.entries<KeySpec>(REPLICA_KEYS)) {
      if (ELSEWHERE.has(property) || (spec.types !== undefined && !spec.types.includes(type))) continue;
      const [one, two] = valuesOf(spec.key, spec, scratch);
      const base = { ...NEEDED[type], ...PARTNERS[spec.key] };
      const withOne = await told(destinationOf(type, { ...base, [spec.key]: one }));
      if (two === '') {
        assert.ok(withOne.includes(one), spec.key);
        continue;
      }
      const withTwo = await told(destinationOf(type, { ...base, [spec.key]: two }));
      assert.notEqual(withOne, withTwo, `nobody is told \`${spec.key}\``);
    }
  });
}

test('a secret in a file is read again whenever it is asked for', async () => {
  using scratch = new Scratch();
  const path = scratch.file('password');
  writeFileSync(path, 'first\n');
  const destination = destinationOf('sftp', { ...NEEDED.sftp, 'password-file': path });
  assert.ok(destination.type === 'sftp');
  const { password } = sftpOptions(destination);
  assert.ok(typeof password === 'function');
  assert.equal(await password(), 'first');
  writeFileSync(path, 'second\n');
  assert.equal(await password(), 'second');
  writeFileSync(path, '');
  await assert.rejects(password(), /is a file without content/);
});

test('authorities: the file of the replica, else of the top level, and for s3 the bundle of the tools of AWS', async () => {
  const text = (more: string): string =>
    `ca-file: top.pem\ndbs: [{path: /a, replicas: [{url: "s3://bkt/a"${more}}, {url: "abs://acc@bkt/a"}]}]`;
  const filesOf = (more: string): unknown => {
    const { config } = parseConfig(text(more), { file: 'f', environment: {} });
    return config.databases[0]?.replicas.map(({ destination }) => {
      assert.ok(destination.type === 's3' || destination.type === 'abs');
      return authorityFiles(destination, { AWS_CA_BUNDLE: '/bundle' }).map(({ path }) => path);
    });
  };
  assert.deepEqual(filesOf(''), [['/bundle', resolve('top.pem')], [resolve('top.pem')]]);
  assert.deepEqual(filesOf(', ca-file: /own.pem'), [['/bundle', '/own.pem'], [resolve('top.pem')]]);
  const missing = destinationOf('gcs', { bucket: 'bkt', 'ca-file': '/nowhere/ca.pem' });
  assert.ok(missing.type === 'gcs');
  const opened = networkBackend(missing, { clock: systemClock, logger: silentLogger });
  await assert.rejects(opened, {
    code: 'CONFIG_INVALID',
    message: /`ca-file`, \/nowhere\/ca\.pem, cannot be read/,
  });
});

test('limits: no cap unless there is one', () => {
  const settings = { requestTimeoutMs: undefined, bandwidthLimitBytes: 0, onAuthFailure: 'retry' } as const;
  const limits = networkLimits({ ...settings, maxConcurrentRequests: 1 });
  assert.deepEqual(limits.limits, { smallCalls: 1, streams: 1, listings: 1 });
  assert.equal(limits.uploadBytesPerSecond, undefined);
  assert.equal(
    networkLimits({ ...settings, maxConcurrentRequests: 1, bandwidthLimitBytes: 5 }).downloadBytesPerSecond,
    5,
  );
});
