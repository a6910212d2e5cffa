import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { parseLine } from '../../src/cli/flags.ts';
import type { Flag } from '../../src/cli/flags.ts';

const FLAGS: readonly Flag[] = [
  { name: 'config', kind: 'text', value: 'PATH', help: '' },
  { name: 'if-db-not-exists', kind: 'boolean', help: '' },
  { name: 'v', kind: 'boolean', help: '' },
  { name: 'parallelism', kind: 'count', value: 'N', defaultValue: '8', help: '' },
  { name: 'check', kind: 'text', choices: ['none', 'quick'], help: '' },
];

function usage(message: RegExp, hint?: string): (error: unknown) => boolean {
  return (error) => {
    const {
      code,
      message: actual,
      hint: actualHint,
    } = error as { code: string; message: string; hint?: string };
    assert.equal(code, 'USAGE');
    assert.match(actual, message);
    assert.equal(actualHint, hint);
    return true;
  };
}

describe('flags', () => {
  for (const words of [['-config', 'a b'], ['--config', 'a b'], ['-config=a b'], ['--config=a b']]) {
    test(`${words.join(' ')} sets the value`, () => {
      assert.equal(parseLine(FLAGS, words).flags.text('config'), 'a b');
    });
  }

  test('booleans stand alone or take true and false, never the next word', () => {
    const read = (...words: string[]): unknown => {
      const { flags, positionals } = parseLine(FLAGS, words);
      return [flags.boolean('if-db-not-exists'), ...positionals];
    };
    assert.deepEqual(read('-if-db-not-exists', 'false'), [true, 'false']);
    assert.deepEqual(read('-if-db-not-exists=false'), [false]);
    assert.deepEqual(read('--if-db-not-exists=1'), [true]);
    assert.deepEqual(read(), [false]);
    assert.throws(() => read('-v=yes'), usage(/-v is "yes"; expected true or false/));
  });

  test('flags and positional arguments may be mixed; two dashes end the flags; one dash is an argument', () => {
    const { flags, positionals } = parseLine(FLAGS, ['a', '-v', 'b', '-', '--', '-config', 'c']);
    assert.equal(flags.boolean('v'), true);
    assert.equal(flags.text('config'), undefined);
    assert.deepEqual(positionals, ['a', 'b', '-', '-config', 'c']);
  });

  test('a value may begin with a dash, hold an equals sign or be empty', () => {
    assert.equal(parseLine(FLAGS, ['-config', '-v']).flags.text('config'), '-v');
    assert.equal(parseLine(FLAGS, ['-config=a=b']).flags.text('config'), 'a=b');
    assert.equal(parseLine(FLAGS, ['-config=']).flags.text('config'), '');
  });

  test('the last of repeated flags wins, and defaults stand in', () => {
    const { flags } = parseLine(FLAGS, ['-config', 'a', '-config', 'b']);
    assert.equal(flags.text('config'), 'b');
    assert.equal(flags.count('parallelism'), 8);
  });

  test('unknown flags are refused with the nearest name', () => {
    assert.throws(
      () => parseLine(FLAGS, ['-cofnig', 'x']),
      usage(/no flag -cofnig/, 'did you mean -config?'),
    );
    assert.throws(() => parseLine(FLAGS, ['-zzzzzz']), usage(/no flag -zzzzzz/));
    assert.throws(
      () => parseLine(FLAGS, ['---config', 'x']),
      usage(/no flag --config/, 'did you mean -config?'),
    );
  });

  test('missing and impossible values are refused', () => {
    assert.throws(() => parseLine(FLAGS, ['-config']), usage(/-config needs a value: PATH/));
    for (const count of ['0', '-1', '1.5', 'x', '', '1e3', '99999999999']) {
      assert.throws(
        () => parseLine(FLAGS, ['-parallelism', count]),
        usage(/expected a whole number, 1 or more/),
      );
    }
    assert.throws(() => parseLine(FLAGS, ['-check', 'ful']), usage(/expected one of none, quick/));
  });

  test('asking for a flag that is not declared is a bug', () => {
    assert.throws(() => parseLine(FLAGS, []).flags.text('nope'), TypeError);
  });

  test('any words give flags and arguments or a usage error', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('-config', '--v', '-v=x', '--', '-', '-parallelism'));
    fc.assert(
      fc.property(fc.array(word), (words) => {
        try {
          parseLine(FLAGS, words);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'USAGE');
        }
      }),
    );
  });
});
