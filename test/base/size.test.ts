import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { formatSize, parseSize } from '../../src/base/size.ts';

test('reads sizes', () => {
  const read: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['4096', 4096],
    ['10B', 10],
    ['64MB', 64_000_000],
    ['64 MB', 64_000_000],
    ['64mb', 64_000_000],
    ['1GiB', 1_073_741_824],
    ['1.5KiB', 1536],
    ['2TiB', 2 ** 41],
  ];
  for (const [text, bytes] of read) assert.equal(parseSize(text), bytes, text);
});

test('refuses what is ambiguous, broken, negative or too large', () => {
  for (const text of [
    '',
    'MB',
    '64M',
    '-1',
    '1.5',
    '0.3B',
    '1e6',
    '1PB',
    '1  MB',
    '9007199254740993',
    '1_000',
  ]) {
    assert.equal(parseSize(text), undefined, text);
  }
});

test('a size survives being written and read', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(formatSize(bytes)) === bytes));
  assert.equal(formatSize(2 ** 30), '1GiB');
  assert.equal(formatSize(64_000_000), '64MB');
  assert.equal(formatSize(4097), '4097');
});
