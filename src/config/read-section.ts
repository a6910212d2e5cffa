import { isMap, isScalar, isSeq } from 'yaml';
import type { Node, Pair, YAMLMap } from 'yaml';

import type { Given, KeySpec, SectionName } from './key-spec.ts';
import type { Place } from './places.ts';
import { readSingleValue } from './read-value.ts';
import { HAS_NO_VALUE, isEmptyScalar, placeOf } from './reading.ts';
import type { Cursor, Reading } from './reading.ts';
import { SECTIONS } from './schema.ts';
import { unknownKeyMessage } from './unknown-key.ts';
import { followAlias, keyText, offsetOf, pairsOf } from './yaml-source.ts';

type Known = readonly [property: string, spec: KeySpec];

interface KnownKeys {
  readonly byKey: ReadonlyMap<string, Known>;
  readonly required: readonly Known[];
}

/** Looked up for each pair of a file. */
const KNOWN_KEYS = Object.fromEntries(
  Object.entries(SECTIONS).map(([name, specs]): [string, KnownKeys] => {
    const all: Known[] = Object.entries(specs);
    return [
      name,
      {
        byKey: new Map(all.map((known) => [known[1].key, known])),
        required: all.filter(([, spec]) => spec.required === true),
      },
    ];
  }),
) as Readonly<Record<SectionName, KnownKeys>>;

/** Reads the top level. An empty file is an empty section. */
export function readRoot(reading: Reading): Given<'root'> {
  const contents = followAlias(reading.source, reading.source.document.contents);
  if (contents === undefined || isEmptyScalar(contents)) return {};
  return readSection(reading, 'root', { node: contents, path: '', fallbackOffset: 0 }) ?? {};
}

function readSection<Name extends SectionName>(
  reading: Reading,
  name: Name,
  cursor: Cursor,
): Given<Name> | undefined {
  const node = followAlias(reading.source, cursor.node);
  const place = placeOf(reading, cursor);
  if (!isMap(node)) {
    reading.problem(place, notASection(node, 'a section (`key: value` lines)'));
    return undefined;
  }
  return reading.budget.nested(
    () => place,
    () => readMap(reading, name, node, place),
  );
}

function readMap<Name extends SectionName>(
  reading: Reading,
  name: Name,
  map: YAMLMap,
  place: Place,
): Given<Name> {
  const values: Record<string, unknown> = {};
  reading.places.setSection(values, place);
  const spend = (): void => reading.budget.spend(() => place);
  for (const pair of pairsOf(reading.source, map, spend)) readPair(reading, name, pair, values);
  for (const [property, spec] of KNOWN_KEYS[name].required) {
    if (!reading.places.has(values, property)) {
      reading.problem(place, `the key \`${spec.key}\` is missing`);
    }
  }
  return values as Given<Name>;
}

function readPair(reading: Reading, name: SectionName, pair: Pair, values: Record<string, unknown>): void {
  const key = keyText(pair);
  const parent = reading.places.of(values).path;
  const path = parent === '' ? key : `${parent}.${key}`;
  const keyOffset = offsetOf(pair.key, 0);
  const found = KNOWN_KEYS[name].byKey.get(key);
  if (found !== undefined) {
    const [property, spec] = found;
    const cursor = { node: pair.value, path, fallbackOffset: keyOffset };
    reading.places.set(values, property, placeOf(reading, cursor));
    values[property] = readValue(reading, spec, cursor);
  } else if (!(name === 'root' && key.startsWith('x-'))) {
    // `x-…` at the top level is a place for anchors, as in other tools.
    reading.problem({ ...reading.source.positionOf(keyOffset), path }, unknownKeyMessage(key, name));
  }
}

function readValue(reading: Reading, spec: KeySpec, cursor: Cursor): unknown {
  const node = followAlias(reading.source, cursor.node);
  if (node === undefined || isEmptyScalar(node)) {
    reading.problem(placeOf(reading, cursor), HAS_NO_VALUE);
    return undefined;
  }
  if (spec.kind === 'section') return readSection(reading, spec.of ?? 'root', cursor);
  if (spec.kind === 'sections') return readList(reading, spec, node, cursor);
  if (spec.kind === 'texts' && isSeq(node)) return readTexts(reading, spec, node.items, cursor);
  return readSingleValue(reading, spec, cursor);
}

function readList(reading: Reading, spec: KeySpec, node: Node, cursor: Cursor): unknown {
  if (!isSeq(node)) {
    reading.problem(placeOf(reading, cursor), notASection(node, 'a list (each element begins with `- `)'));
    return undefined;
  }
  return node.items
    .map((item, index) => {
      reading.budget.spend(() => placeOf(reading, cursor));
      return readSection(reading, spec.of ?? 'root', elementCursor(cursor, item, index));
    })
    .filter((section) => section !== undefined);
}

function readTexts(
  reading: Reading,
  spec: KeySpec,
  items: readonly unknown[],
  cursor: Cursor,
): readonly string[] {
  return items
    .map((item, index) => readSingleValue(reading, spec, elementCursor(cursor, item, index)))
    .flatMap((value) => (value === undefined ? [] : (value as readonly string[])));
}

function elementCursor(cursor: Cursor, item: unknown, index: number): Cursor {
  return { node: item, path: `${cursor.path}[${index}]`, fallbackOffset: cursor.fallbackOffset };
}

function notASection(node: unknown, expected: string): string {
  if (isScalar(node) && /\$/.test(String(node.value))) {
    return `expected ${expected}; a variable can stand for a value only, not for a section`;
  }
  const found = isScalar(node)
    ? 'a single value'
    : isSeq(node)
      ? 'a list'
      : isMap(node)
        ? 'a section'
        : 'nothing';
  return `expected ${expected}, not ${found}`;
}
