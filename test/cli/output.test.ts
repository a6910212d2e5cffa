import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatSeconds, formatTable } from '../../src/cli/output.ts';
import { checkRuntime } from '../../src/cli/runtime-check.ts';

const COLUMNS = [
  { header: 'path', cell: (row: readonly string[]) => row[0] ?? '' },
  { header: 'replicas', cell: (row: readonly string[]) => row[1] ?? '' },
];

test('columns are as wide as their widest cell plus two spaces; the last is not padded', () => {
  assert.equal(
    formatTable(COLUMNS, [
      ['/a/long/path', 's3'],
      ['/ä', 'file,sftp'],
    ]),
    'path          replicas\n/a/long/path  s3\n/ä            file,sftp\n',
  );
});

test('a listing without rows still has its header', () => {
  assert.equal(formatTable(COLUMNS, []), 'path  replicas\n');
});

test('times in listings have whole seconds, cut off, not rounded', () => {
  assert.equal(formatSeconds(new Date('2026-01-02T03:04:05.999Z')), '2026-01-02T03:04:05Z');
});

test('an old Node.js or SQLite is refused with what was found and what is needed', () => {
  checkRuntime({ node: '24.0.0', sqlite: '3.51.3' });
  checkRuntime({ node: '30.1.2', sqlite: '4.0.0' });
  assert.throws(() => checkRuntime({ node: '22.23.3', sqlite: '3.53.0' }), /Node.js 22.23.3; expected >= 24/);
  assert.throws(
    () => checkRuntime({ node: '24.1.0', sqlite: '3.51.2' }),
    /SQLite 3.51.2; expected >= 3.51.3/,
  );
  assert.throws(() => checkRuntime({ node: '24.1.0', sqlite: '3.9.9' }), /SQLite 3.9.9/);
  assert.throws(() => checkRuntime({ node: '24.1.0' }), /SQLite \(none\)/);
});
