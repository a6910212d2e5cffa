import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { formatDuration, parseDuration } from '../../src/base/duration.ts';

const READ: readonly (readonly [string, number])[] = [
  ['0', 0],
  ['-0', 0],
  ['1s', 1_000],
  ['+1s', 1_000],
  ['1h30m', 5_400_000],
  ['500ms', 500],
  ['1.5s', 1_500],
  ['.5s', 500],
  ['1.s', 1_000],
  ['-1.5s', -1_500],
  ['1µs', 0.001],
  ['1μs', 0.001],
  ['1us', 0.001],
  ['1ns', 1e-6],
  ['1m1m', 120_000],
  ['30m1h', 5_400_000],
  ['0.1234567899s', 123.456789],
  ['2562047h47m16.854775807s', 9_223_372_036_854.775],
];

test('reads what Go reads', () => {
  for (const [text, ms] of READ) {
    // -0 is not a duration anybody can tell from 0.
    assert.equal((parseDuration(text) ?? Number.NaN) + 0, ms, text);
  }
});

test('refuses what is not a duration', () => {
  for (const text of [
    '',
    ' ',
    '5',
    '-5',
    '1.5',
    's',
    '.s',
    '1x',
    '1 s',
    '1s ',
    '1S',
    '1h-5m',
    '1d',
    'off',
    '1e3s',
  ]) {
    assert.equal(parseDuration(text), undefined, JSON.stringify(text));
  }
});

test('refuses more than 64 bits of nanoseconds', () => {
  assert.equal(parseDuration('2562047h47m16.854775808s'), undefined);
  assert.equal(parseDuration(`${'9'.repeat(400)}h`), undefined);
});

test('writes the short usual form', () => {
  const written = [86_400_000, 60_000, 5_400_000, 1_500, 999, 0.5, 1e-6, 0, -90_000, 3_600_001].map(
    formatDuration,
  );
  assert.deepEqual(
    written,
    ['24h', '1m', '1h30m', '1.5s', '999ms', '500µs', '1ns', '0s', '-1m30s', '1h0.001s'].map(String),
  );
});

test('refuses to write what is not a number of milliseconds', () => {
  assert.throws(() => formatDuration(Number.NaN), RangeError);
  assert.throws(() => formatDuration(Infinity), RangeError);
});

test('a duration survives being written and read', () => {
  const whole = fc.integer({ min: -9_000_000_000_000, max: 9_000_000_000_000 });
  fc.assert(fc.property(whole, (ms) => parseDuration(formatDuration(ms)) === ms));
});

test('nanoseconds survive too', () => {
  const nanoseconds = fc.integer({ min: 0, max: 10 ** 15 });
  fc.assert(
    fc.property(nanoseconds, (ns) => {
      const ms = parseDuration(`${ns}ns`) ?? Number.NaN;
      return parseDuration(formatDuration(ms)) === ms;
    }),
  );
});
