/** Aliases and merge keys: a small file can stand for any number of values, and must cost no more than its size. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isRivuletError } from '../../src/base/errors.ts';
import type { RivuletError } from '../../src/base/errors.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import type { ParsedConfig } from '../../src/config/parse-config.ts';
import type { Problem } from '../../src/config/problems.ts';

/**
 * Of the processor: other work on the machine does not count. A slow one reads a file of some hundred kilobytes in this
 * time, unless the work grows with its square.
 */
const TIME_MAX_MS = 8_000;

function spentMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function parse(text: string): ParsedConfig {
  return parseConfig(text, { file: 'c.yml', environment: {}, cwd: '/w', home: '/h' });
}

/** The error of a text, found in time. */
function errorOf(text: string): RivuletError {
  const before = spentMs();
  let error: unknown;
  try {
    parse(text);
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(isRivuletError(error, 'CONFIG_INVALID'), String(error));
  assert.ok(spentMs() - before < TIME_MAX_MS, 'takes too long');
  return error;
}

function many(count: number, line: (n: number) => string): string {
  return Array.from({ length: count }, (_, n) => line(n)).join('');
}

test('thousands of aliases of one section are read in time', () => {
  const before = spentMs();
  const { config } = parse(
    `x-r: &r {sync-interval: 2s, retention: 48h}\ndbs:\n${many(4_000, (n) => `  - {path: /d${n}.db, replicas: [{<<: *r, path: /r${n}}]}\n`)}`,
  );
  assert.ok(spentMs() - before < TIME_MAX_MS);
  assert.equal(config.databases.length, 4_000);
  assert.equal(config.databases[3_999]?.replicas[0]?.syncIntervalMs, 2_000);
});

test('the same mistake behind thousands of aliases is reported in time, and not thousands of times', () => {
  const error = errorOf(
    `x-r: &r {url: "file:///r"}\ndbs:\n${many(4_000, (n) => `  - {path: /d${n}.db, replicas: [*r]}\n`)}`,
  );
  assert.match(error.message, /the same destination as/);
  assert.ok((error.details['list'] as Problem[]).length <= 500);
});

test('an alias means the last node before it with its name', () => {
  const { config } = parse(
    'x-a: &a {path: /one}\nx-b: {b: &a {path: /two}}\ndbs:\n  - {path: /d, replicas: [*a]}\nx-c: &a {path: /three}\n',
  );
  const destination = config.databases[0]?.replicas[0]?.destination;
  assert.equal(destination?.type === 'file' ? destination.path : '', '/two');
  assert.match(errorOf('dbs: [*later]\nx-l: &later {path: /d}\n').message, /expected a section/);
});

test('the first of several merged maps wins, and the map itself over all', () => {
  const { config } = parse(
    'x-a: &a {path: /a, retention: 1h}\nx-b: &b {<<: *a, path: /b, sync-interval: 3s}\n' +
      'dbs: [{path: /d, replicas: [{<<: [*b, *a], sync-interval: 4s}]}]\n',
  );
  const [replica] = config.databases[0]?.replicas ?? [];
  assert.equal(replica?.destination.type === 'file' ? replica.destination.path : '', '/b');
  assert.deepEqual([replica?.retentionMs, replica?.syncIntervalMs], [3_600_000, 4_000]);
});

test('files that stand for more than their size allows are refused', () => {
  const laughs = `x0: &x0 [${'a,'.repeat(50)}]\n${many(8, (n) => `x-${n + 1}: &x${n + 1} {${many(9, (m) => `k${m}: *x${n}, `)}}\n`)}`;
  const lists = `x-l: &l [${many(1_500, (n) => `{path: /r${n}, name: n${n}},`)}]\ndbs:\n${many(1_500, (n) => `  - {path: /d${n}, replicas: *l}\n`)}`;
  const keys = `x-m: &m {${many(5_000, (n) => `key${n}: 1, `)}}\ndbs:\n${many(5_000, () => '  - {<<: *m}\n')}`;
  const texts = `x-t: &t "/${'long'.repeat(20_000)}"\ndbs:\n${many(5_000, () => '  - {path: *t}\n')}`;
  const merges = `x-m0: &m0 {path: /d}\n${many(3_000, (n) => `x-m${n + 1}: &m${n + 1} {<<: *m${n}, min-checkpoint-page-count: ${n + 1}}\n`)}dbs:\n${many(3_000, () => '  - *m3000\n')}`;
  for (const [name, text] of Object.entries({ lists, texts, merges }))
    assert.match(errorOf(text).message, /stand for more values than a file of its size may have/, name);
  assert.match(errorOf(keys).message, /unknown key/);
  assert.match(errorOf(`${laughs}dbs: [*x8]\n`).message, /unknown key/);
});

test('what stands for itself ends', () => {
  const s3 = 'bucket: b, type: s3, path: p';
  for (const text of [
    'dbs: [{<<: &s [*s], path: /d}]\n',
    'dbs: [&d {<<: [*d, *d], path: /d}]\n',
    'dbs: &d [*d]\n',
    'dbs: [&d {path: /d, replicas: [*d]}]\n',
    `dbs: [{path: /d, replicas: [{${s3}, credentials: &c {source: assume-role, role-arn: a, base: *c}}]}]\n`,
    `x: &x {x: *x}\ndbs: [{path: /d, replicas: [{${s3}, credentials: *x}]}]\n`,
  ]) {
    try {
      parse(text);
    } catch (error) {
      assert.ok(isRivuletError(error, 'CONFIG_INVALID'), `${text}: ${String(error)}`);
    }
  }
  assert.match(
    errorOf(
      `dbs: [{path: /d, replicas: [{${s3}, credentials: &c {source: assume-role, role-arn: a, base: *c}}]}]\n`,
    ).message,
    /nested too deeply; does an alias|base/,
  );
});

test('a chain of merges as long as the file', () => {
  const chain = many(5_000, (n) => `x-m${n + 1}: &m${n + 1} {<<: *m${n}, path: /p${n}}\n`);
  const { config } = parse(`x-m0: &m0 {path: /p}\n${chain}dbs: [*m5000]\n`);
  assert.equal(config.databases[0]?.path, '/p4999');
});

test('thousands of variables that are not set are reported in time, and a few of them', () => {
  const before = spentMs();
  const names = many(30_000, (n) => `$V${n}`);
  const { warnings } = parse(`x-t: &t /a${names}\ndbs: [{path: *t, replicas: [{path: /r}]}]\n`);
  assert.ok(spentMs() - before < TIME_MAX_MS);
  assert.equal(warnings.length, 10);
});
