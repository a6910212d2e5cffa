import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';

import { VISIBLE_LENGTH_MAX, visibleLines, visibleText } from '../../src/base/visible-text.ts';

/** What a terminal may act upon, what breaks or reorders a line, and what shows nothing; listed without Unicode classes. */
const UNSAFE_RANGES: readonly (readonly [number, number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x034f, 0x034f],
  [0x061c, 0x061c],
  [0x115f, 0x1160],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xd800, 0xdfff],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff9, 0xfffb],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
];

function isUnsafe(character: string): boolean {
  const point = character.codePointAt(0) ?? 0;
  return UNSAFE_RANGES.some(([from, to]) => point >= from && point <= to);
}

function unsafeIn(text: string): string[] {
  return Array.from(text).filter(isUnsafe);
}

const anyCharacter = fc.oneof(
  fc.constantFrom(...UNSAFE_RANGES.flatMap(([from, to]) => [from, to])).map((p) => String.fromCodePoint(p)),
  fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  fc.integer({ min: 0, max: 0x10ffff }).map((point) => String.fromCodePoint(point)),
  fc.constantFrom('a', ' ', '\\', '"', 'é', '漢', '😀', '\u001B[2J', '\u001B]0;x\u0007'),
);
const anyText = fc.array(anyCharacter, { maxLength: 60 }).map((parts) => parts.join(''));

test('every unsafe character of every range is escaped, and nothing else is touched', () => {
  for (const [from, to] of UNSAFE_RANGES) {
    for (let point = from; point <= to; point++) {
      const shown = visibleText(String.fromCodePoint(point));
      assert.match(shown, /^(\\[nrt]|(\\u[0-9a-f]{4}){1,2})$/, point.toString(16));
    }
  }
  const plain = 'a "quoted" \\ path /tmp/Füße 漢字 עברית العربية 😀 €  end';
  assert.equal(visibleText(plain), plain);
});

test('escapes are those of JSON', () => {
  assert.equal(
    visibleText('a\u001B[2J\nb\u009B\u202E\u{E0041}\uD800'),
    'a\\u001b[2J\\nb\\u009b\\u202e\\udb40\\udc41\\ud800',
  );
});

test('any text becomes one bounded line in which everything can be seen', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 0, max: 90 }), (text, lengthMax) => {
      const shown = visibleText(text, lengthMax);
      assert.deepEqual(unsafeIn(shown), []);
      assert.ok(shown.length <= lengthMax);
      assert.equal(visibleText(shown, lengthMax), shown, 'a second call changes nothing');
    }),
  );
});

test('a text that fits can be read back', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const quoted = visibleText(JSON.stringify(text));
      assert.equal(JSON.parse(quoted), text);
    }),
  );
});

test('JSON stays the same JSON, line by line, with nothing unsafe in it', () => {
  fc.assert(
    fc.property(fc.array(fc.dictionary(anyText, anyText), { maxLength: 4 }), (value) => {
      const shown = visibleLines(JSON.stringify(value, undefined, 2));
      assert.deepEqual(unsafeIn(shown.replaceAll('\n', '')), []);
      assert.deepEqual(JSON.parse(shown), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('a text of any length is cut, with a mark, and in time', () => {
  const shown = visibleText('\u0000'.repeat(50_000_000));
  assert.ok(shown.length <= VISIBLE_LENGTH_MAX);
  assert.ok(shown.endsWith('\\u0000...'));
  assert.equal(visibleText('x'.repeat(VISIBLE_LENGTH_MAX)), 'x'.repeat(VISIBLE_LENGTH_MAX));
});
