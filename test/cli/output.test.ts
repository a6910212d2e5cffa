import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatSeconds, writeJsonArray, writeTable } from '../../src/cli/output.ts';
import { checkRuntime } from '../../src/cli/runtime-check.ts';

const COLUMNS = [
  { header: 'path', cell: (row: readonly string[]) => row[0] ?? '' },
  { header: 'replicas', cell: (row: readonly string[]) => row[1] ?? '' },
];

function written(write: (output: { write(text: string): void }) => void): string {
  let text = '';
  write({ write: (piece) => void (text += piece) });
  return text;
}

test('columns are as wide as their widest cell plus two spaces; the last is not padded', () => {
  assert.equal(
    written((output) =>
      writeTable(output, COLUMNS, [
        ['/a/long/path', 's3'],
        ['/ä', 'file,sftp'],
      ]),
    ),
    'path          replicas\n/a/long/path  s3\n/ä            file,sftp\n',
  );
});

test('a listing without rows still has its header', () => {
  assert.equal(
    written((output) => writeTable(output, COLUMNS, [])),
    'path  replicas\n',
  );
});

test('a listing of 200,000 rows is written in pieces, as a table and as JSON', () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [`/db/${i}`, `r\n${i}`]);
  let most = 0;
  let table = '';
  const output = {
    write: (piece: string): void => {
      most = Math.max(most, piece.length);
      table += piece;
    },
  };
  writeTable(output, COLUMNS, rows);
  assert.equal(table.split('\n/db/').length, 200_001);
  assert.ok(most < 128 * 1024, `a piece of ${most} characters`);
  table = '';
  writeJsonArray(output, rows);
  assert.equal(table, `${JSON.stringify(rows, undefined, 2)}\n`);
  assert.ok(most < 128 * 1024, `a piece of ${most} characters`);
  table = '';
  writeJsonArray(output, []);
  assert.equal(table, '[]\n');
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
