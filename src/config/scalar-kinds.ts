import { formatDuration, parseDuration } from '../base/duration.ts';
import { formatSize, parseSize } from '../base/size.ts';

/** How one kind of value is read from the file's text, written back, and described. */
export interface ScalarKindRules<Value> {
  /** Completes "expected ...". */
  readonly expected: string;
  /** The value, or undefined when the text is not one. */
  parse(text: string): Value | undefined;
  /** The value as one would write it in the file. */
  format(value: Value): string | number | boolean;
  readonly jsonSchema: Readonly<Record<string, unknown>>;
}

/** YAML 1.1's booleans, because that is the YAML which existing files were written for. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['y', true],
  ['false', false],
  ['no', false],
  ['off', false],
  ['n', false],
]);

const TEXT: ScalarKindRules<string> = {
  expected: 'a text',
  parse: (text) => text,
  format: (value) => value,
  jsonSchema: { type: 'string', minLength: 1 },
};

const BOOLEAN: ScalarKindRules<boolean> = {
  expected: 'true or false',
  parse: (text) => BOOLEANS.get(text.toLowerCase()),
  format: (value) => value,
  jsonSchema: { type: 'boolean' },
};

const COUNT: ScalarKindRules<number> = {
  expected: 'a whole number',
  parse: (text) => (/^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined),
  format: (value) => value,
  jsonSchema: { type: 'integer', minimum: 0 },
};

const DURATION: ScalarKindRules<number> = {
  expected: 'a duration with a unit, for example 5s, 1m30s or 24h',
  parse: parseDuration,
  format: formatDuration,
  jsonSchema: {
    anyOf: [
      { type: 'string', pattern: '^\\+?(0|((\\d+(\\.\\d*)?|\\.\\d+)(ns|us|µs|μs|ms|s|m|h))+)$' },
      { const: 0 },
    ],
  },
};

const SIZE: ScalarKindRules<number> = {
  expected: 'a size, for example 64MB, 1GiB or a number of bytes',
  parse: parseSize,
  format: formatSize,
  jsonSchema: {
    anyOf: [
      { type: 'string', pattern: '^\\d+(\\.\\d+)? ?(([KkMmGgTt][Ii]?)?[Bb])?$' },
      { type: 'integer', minimum: 0 },
    ],
  },
};

/** Permission bits, always read as octal: a YAML reader would take 0600 for six hundred. */
const MODE: ScalarKindRules<number> = {
  expected: 'permission bits in octal, for example 0600',
  parse: (text) => (/^(0o?)?[0-7]{3}$/.test(text) ? Number.parseInt(text.slice(-3), 8) : undefined),
  format: (value) => `0${value.toString(8).padStart(3, '0')}`,
  jsonSchema: { anyOf: [{ type: 'string', pattern: '^(0o?)?[0-7]{3}$' }, { type: 'integer' }] },
};

/** A list in the file; each element is a text. */
const TEXTS: ScalarKindRules<readonly string[]> = {
  expected: 'a list of texts',
  parse: (text) => [text],
  format: (value) => value.join('\n'),
  jsonSchema: { type: 'array', items: { type: 'string', minLength: 1 } },
};

/** Every kind of value. Durations are milliseconds and sizes are bytes in the program. */
export const SCALAR_KINDS: {
  readonly text: ScalarKindRules<string>;
  readonly choice: ScalarKindRules<string>;
  readonly boolean: ScalarKindRules<boolean>;
  readonly count: ScalarKindRules<number>;
  readonly duration: ScalarKindRules<number>;
  readonly size: ScalarKindRules<number>;
  readonly mode: ScalarKindRules<number>;
  readonly texts: ScalarKindRules<readonly string[]>;
} = {
  text: TEXT,
  choice: { ...TEXT, expected: 'one of the known words', parse: (text) => text.toLowerCase() },
  boolean: BOOLEAN,
  count: COUNT,
  duration: DURATION,
  size: SIZE,
  mode: MODE,
  texts: TEXTS,
};
