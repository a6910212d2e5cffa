import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { isRivuletError } from '../../src/base/errors.ts';
import { SECTIONS } from '../../src/config/schema.ts';
import { parse } from './support.ts';

const KEYS = Object.values(SECTIONS).flatMap((specs) => Object.values(specs).map((spec) => `${spec.key}: `));
const PIECES = [
  '\n',
  '\n  ',
  '\n    ',
  '\n      ',
  '- ',
  '{',
  '}',
  '[',
  ']',
  ', ',
  '"',
  "'",
  '#',
  '&a ',
  '*a',
  '<<: ',
];
const VALUES = [
  '$A',
  '${A}',
  '$$',
  '0',
  '5',
  '-1s',
  '1h',
  'true',
  '~',
  '!!int 3',
  '|',
  '? ',
  's3://b/x',
  '%',
  '\t',
  'é',
];

/** The text is accepted, or refused with problems that stand in it. */
function readsOrRefuses(text: string): void {
  try {
    parse(text, { A: 'a: b\n- c' });
  } catch (error) {
    assert.ok(isRivuletError(error, 'CONFIG_INVALID'), `${String(error)} for ${JSON.stringify(text)}`);
    const list = error.details['list'] as { line: number; column: number }[];
    assert.ok(list.length > 0);
    const lines = text.split('\n').length;
    for (const { line, column } of list)
      assert.ok(line >= 1 && line <= lines && column >= 1, JSON.stringify(text));
  }
}

test('any text of configuration pieces is read or refused with positions', () => {
  const piece = fc.constantFrom(...KEYS, ...PIECES, ...PIECES, ...VALUES);
  const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''));
  fc.assert(fc.property(text, readsOrRefuses), { numRuns: 500 });
});

test('any keys in the right shape are read or refused with positions', () => {
  const line = fc
    .tuple(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES, '{}', '[]', '/x'))
    .map(([key, value]) => key + value);
  const section = (indent: string): fc.Arbitrary<string> =>
    fc.uniqueArray(line, { maxLength: 6 }).map((lines) => lines.map((one) => `${indent}${one}\n`).join(''));
  const text = fc
    .tuple(section(''), section('    '), section('        '))
    .map(
      ([root, db, replica]) => `${root}dbs:\n  - path: /a\n${db}    replicas:\n      - name: x\n${replica}`,
    );
  fc.assert(fc.property(text, readsOrRefuses), { numRuns: 500 });
});
