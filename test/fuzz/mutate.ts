/** From a few inputs that are in order to any number that are not quite. Pure: the random numbers decide everything. */
import type { Random } from '../faults/random.ts';
import { bytesOf } from './target.ts';

/** Values at which counters turn over, signs change, and sizes become negative or huge. */
const BORDERS = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x100n,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x1_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_fffen,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x20_0000_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
] as const;
const TEXT_BORDERS = [
  '-1',
  '0',
  '00',
  '1e9',
  '1e999',
  'NaN',
  'Infinity',
  '4294967296',
  '9007199254740993',
  '99999999999999999999999',
  '0x10',
  '1.5',
  '',
  ' ',
  '\0',
  '\n',
  '\r\n',
  '\u2028',
  '\ufeff',
  'é',
  '😀',
  '\ud800',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  '%00',
  '%',
  '../',
  '${A}',
  '"',
  "'",
  '\\',
  '[',
  ']',
  '{',
  '}',
  '<',
  '&lt;',
  '&#x0;',
  '<![CDATA[',
  '&',
];

export interface MutationRules {
  readonly words?: readonly string[] | undefined;
  readonly bytesMax: number;
}

type Mutation = (input: Uint8Array, random: Random, rules: MutationRules) => Uint8Array;

function splice(input: Uint8Array, at: number, removed: number, put: Uint8Array): Uint8Array {
  return Buffer.concat([input.subarray(0, at), put, input.subarray(at + removed)]);
}

/** A place in the input, its ends more often than others. */
function place(input: Uint8Array, random: Random): number {
  const kind = random.int(0, 5);
  if (kind === 0) return 0;
  if (kind === 1) return input.length;
  if (kind === 2) return Math.min(input.length, random.int(0, 64));
  return random.int(0, input.length);
}

/** A stretch of the input, mostly a short one. */
function stretch(input: Uint8Array, random: Random): { at: number; length: number } {
  const at = place(input, random);
  const most = random.chance(0.8) ? Math.min(32, input.length - at) : input.length - at;
  return { at, length: random.int(0, most) };
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.int(0, 255));
}

const flipBit: Mutation = (input, random) => {
  const bytes = Uint8Array.from(input);
  if (bytes.length === 0) return bytes;
  const at = Math.min(bytes.length - 1, place(bytes, random));
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(0, 7));
  return bytes;
};

const setByte: Mutation = (input, random) => {
  const bytes = Uint8Array.from(input);
  if (bytes.length > 0) bytes[Math.min(bytes.length - 1, place(bytes, random))] = random.int(0, 255);
  return bytes;
};

const cutOff: Mutation = (input, random) => input.slice(0, place(input, random));

const remove: Mutation = (input, random) => {
  const { at, length } = stretch(input, random);
  return splice(input, at, length, new Uint8Array(0));
};

const repeat: Mutation = (input, random, { bytesMax }) => {
  const { at, length } = stretch(input, random);
  const part = input.slice(at, at + length);
  const room = Math.max(1, Math.floor((bytesMax - input.length) / Math.max(1, length)));
  const times = Math.min(room, random.chance(0.1) ? random.int(1, 5_000) : random.int(1, 3));
  return splice(input, at, 0, Buffer.concat(Array.from({ length: times }, () => part)));
};

const insertNoise: Mutation = (input, random) =>
  splice(input, place(input, random), 0, noise(random, random.int(1, 16)));

const overwriteNoise: Mutation = (input, random) => {
  const { at, length } = stretch(input, random);
  return splice(input, at, length, noise(random, length));
};

const move: Mutation = (input, random) => {
  const { at, length } = stretch(input, random);
  const part = input.slice(at, at + length);
  const without = splice(input, at, length, new Uint8Array(0));
  return splice(without, place(without, random), 0, part);
};

const borderNumber: Mutation = (input, random) => {
  const width = random.pick([1, 2, 4, 8]);
  if (input.length < width) return input;
  const bytes = Buffer.from(input);
  const at = Math.min(bytes.length - width, place(bytes, random));
  const value = BigInt.asUintN(width * 8, random.pick(BORDERS));
  const word = Buffer.alloc(8);
  if (random.chance(0.5)) {
    word.writeBigUInt64LE(value);
    word.copy(bytes, at, 0, width);
  } else {
    word.writeBigUInt64BE(value);
    word.copy(bytes, at, 8 - width);
  }
  return bytes;
};

/** A number that is a little more or less than it was. */
const nearNumber: Mutation = (input, random) => {
  if (input.length < 4) return input;
  const bytes = Buffer.from(input);
  const at = Math.min(bytes.length - 4, place(bytes, random));
  const change = random.int(-3, 3);
  if (random.chance(0.5)) bytes.writeUInt32BE((bytes.readUInt32BE(at) + change) >>> 0, at);
  else bytes.writeUInt32LE((bytes.readUInt32LE(at) + change) >>> 0, at);
  return bytes;
};

const insertWord: Mutation = (input, random, { words = [] }) => {
  const word = bytesOf(random.pick([...words, ...TEXT_BORDERS]));
  const { at, length } = stretch(input, random);
  return splice(input, at, random.chance(0.5) ? 0 : length, word);
};

/** Another value for one of the numbers or words that stand in a text. */
const replaceToken: Mutation = (input, random, { words = [] }) => {
  const text = Buffer.from(input).toString('latin1');
  const tokens = [...text.matchAll(/[A-Za-z0-9_.+-]+/g)];
  if (tokens.length === 0) return input;
  const token = random.pick(tokens);
  const other = bytesOf(random.pick([...words, ...TEXT_BORDERS]));
  return splice(input, token.index, token[0].length, other);
};

const swapLines: Mutation = (input, random) => {
  const lines = Buffer.from(input).toString('latin1').split('\n');
  const from = random.int(0, lines.length - 1);
  const [line = ''] = lines.splice(from, 1);
  if (random.chance(0.6)) lines.splice(random.int(0, lines.length), 0, line);
  return Buffer.from(lines.join('\n'), 'latin1');
};

/** Depth is what recursive readers fear. */
const nest: Mutation = (input, random, { bytesMax }) => {
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['{a: ', '}'],
    ['<a>', '</a>'],
    ['- ', ''],
    ['(', ')'],
    ['"', '"'],
  ] as const);
  const most = Math.floor((bytesMax - input.length) / (open.length + close.length));
  const depth = Math.max(0, Math.min(most, random.chance(0.3) ? 20_000 : random.int(1, 50)));
  const at = place(input, random);
  return splice(input, at, 0, bytesOf(open.repeat(depth) + close.repeat(random.chance(0.7) ? depth : 0)));
};

const BINARY: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  cutOff,
  remove,
  repeat,
  insertNoise,
  overwriteNoise,
  move,
  borderNumber,
  borderNumber,
  nearNumber,
];
const TEXT: readonly Mutation[] = [
  ...BINARY,
  insertWord,
  insertWord,
  insertWord,
  replaceToken,
  replaceToken,
  replaceToken,
  swapLines,
  swapLines,
  nest,
];

/** Half of one input and half of another. */
function crossed(samples: readonly Uint8Array[], random: Random): Uint8Array {
  const one = random.pick(samples);
  const other = random.pick(samples);
  return Buffer.concat([one.subarray(0, place(one, random)), other.subarray(place(other, random))]);
}

/** The next input; at most `rules.bytesMax` long. */
export function nextInput(samples: readonly Uint8Array[], random: Random, rules: MutationRules): Uint8Array {
  const kind = random.next();
  if (kind < 0.05) return noise(random, random.int(0, Math.min(300, rules.bytesMax)));
  let input: Uint8Array = kind < 0.15 ? crossed(samples, random) : random.pick(samples);
  const mutations = rules.words === undefined ? BINARY : TEXT;
  const rounds = random.weighted({ one: 5, two: 3, few: 3, many: 1 });
  const count = { one: 1, two: 2, few: random.int(3, 6), many: random.int(7, 25) }[rounds];
  for (let round = 0; round < count; round++) {
    input = random.pick(mutations)(input, random, rules).subarray(0, rules.bytesMax);
  }
  return Uint8Array.from(input);
}
