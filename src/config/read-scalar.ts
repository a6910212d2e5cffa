import { suggest } from '../base/suggest.ts';
import type { KeySpec, ScalarKind } from './key-spec.ts';
import { SCALAR_KINDS } from './scalar-kinds.ts';

export type ScalarResult = { readonly value: unknown } | { readonly problem: string };

/** A value's text by the rules of its key: its kind, its choices, its bounds. */
export function readScalar(spec: KeySpec, text: string): ScalarResult {
  if (text.trim() === '') return { problem: 'is empty; give it a value or remove the key' };
  if (spec.choices !== undefined) return readChoice(spec, spec.choices, text);
  const value = SCALAR_KINDS[spec.kind as ScalarKind].parse(text);
  if (value === undefined) return { problem: notOfItsKind(spec, text) };
  return typeof value === 'number' ? boundNumber(spec, value, text) : { value };
}

function readChoice(spec: KeySpec, choices: readonly string[], text: string): ScalarResult {
  const word = text.toLowerCase();
  const value = spec.synonyms?.[word] ?? word;
  if (choices.includes(value)) return { value };
  const similar = suggest(word, choices);
  const hint = similar === undefined ? '' : `; did you mean \`${similar}\`?`;
  return { problem: `expected one of ${choices.join(', ')}, not ${quoted(spec, text)}${hint}` };
}

function notOfItsKind(spec: KeySpec, text: string): string {
  if (spec.kind === 'duration' && /^[+-]?\d+$/.test(text)) {
    return `the number ${text} has no unit; write for example ${text}s (Litestream reads it as nanoseconds)`;
  }
  return `expected ${SCALAR_KINDS[spec.kind as ScalarKind].expected}, not ${quoted(spec, text)}`;
}

function boundNumber(spec: KeySpec, value: number, text: string): ScalarResult {
  if (spec.least !== undefined && value < leastOf(spec.kind as ScalarKind, spec.least)) {
    return { problem: `must be ${spec.least} or more, not ${text}` };
  }
  if (value > 0 || (value === 0 && spec.zero !== undefined)) return { value };
  const zero = spec.zero === undefined ? 'greater than 0' : `0 (${spec.zero}) or more`;
  return { problem: `must be ${zero}, not ${text}` };
}

function leastOf(kind: ScalarKind, text: string): number {
  return Number(SCALAR_KINDS[kind].parse(text));
}

/** A secret is never repeated, not even a wrong one. */
function quoted(spec: KeySpec, text: string): string {
  return spec.secret === true ? 'what is written here' : JSON.stringify(text);
}
