import { isMap, isScalar, isSeq } from 'yaml';
import type { Node, Pair, YAMLMap } from 'yaml';

import { EMPTIED_BY_VARIABLE, expandVariables, showBraces } from './expand-environment.ts';
import type { Given, KeySpec, SectionName } from './key-spec.ts';
import { Places } from './places.ts';
import type { Place } from './places.ts';
import { readScalar } from './read-scalar.ts';
import { SECTIONS } from './schema.ts';
import { unknownKeyMessage } from './unknown-key.ts';
import { followAlias, keyText, offsetOf, pairsOf } from './yaml-source.ts';
import type { YamlSource } from './yaml-source.ts';

/** What reading needs and collects. Problems are collected, not thrown, so that one run reports all of them. */
export interface Reading {
  readonly source: YamlSource;
  readonly environment: NodeJS.ProcessEnv;
  readonly places: Places;
  problem(place: Place, message: string): void;
  warning(place: Place, message: string): void;
}

/** A node on its way through the reader: its key's path, and an offset for nodes that have none. */
interface Cursor {
  readonly node: unknown;
  readonly path: string;
  readonly fallbackOffset: number;
}

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
  return readMap(reading, name, node, place);
}

function readMap<Name extends SectionName>(
  reading: Reading,
  name: Name,
  map: YAMLMap,
  place: Place,
): Given<Name> {
  const values: Record<string, unknown> = {};
  reading.places.setSection(values, place);
  for (const pair of pairsOf(reading.source, map)) readPair(reading, name, pair, values);
  for (const [property, spec] of Object.entries(SECTIONS[name])) {
    if (spec.required === true && !reading.places.has(values, property)) {
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
  const found = Object.entries(SECTIONS[name]).find(([, spec]) => spec.key === key);
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
    reading.problem(placeOf(reading, cursor), 'has no value; give it one or remove the key');
    return undefined;
  }
  if (spec.kind === 'section') return readSection(reading, spec.of ?? 'root', cursor);
  if (spec.kind === 'sections') return readList(reading, spec, node, cursor);
  if (spec.kind === 'texts' && isSeq(node)) return readTexts(reading, spec, node.items, cursor);
  return readScalarNode(reading, spec, node, cursor);
}

function readList(reading: Reading, spec: KeySpec, node: Node, cursor: Cursor): unknown {
  if (!isSeq(node)) {
    reading.problem(placeOf(reading, cursor), notASection(node, 'a list (each element begins with `- `)'));
    return undefined;
  }
  return node.items
    .map((item, index) => readSection(reading, spec.of ?? 'root', elementCursor(cursor, item, index)))
    .filter((section) => section !== undefined);
}

function readTexts(
  reading: Reading,
  spec: KeySpec,
  items: readonly unknown[],
  cursor: Cursor,
): readonly string[] {
  return items
    .map((item, index) => readScalarNode(reading, spec, item, elementCursor(cursor, item, index)))
    .flatMap((value) => (value === undefined ? [] : (value as readonly string[])));
}

function elementCursor(cursor: Cursor, item: unknown, index: number): Cursor {
  return { node: item, path: `${cursor.path}[${index}]`, fallbackOffset: cursor.fallbackOffset };
}

function readScalarNode(reading: Reading, spec: KeySpec, item: unknown, cursor: Cursor): unknown {
  const node = followAlias(reading.source, item);
  const place = placeOf(reading, cursor);
  if (!isScalar(node)) {
    reading.problem(place, `expected a single value, not ${isMap(node) ? 'a section' : 'a list'}`);
    return undefined;
  }
  if (isEmptyScalar(node)) {
    reading.problem(place, 'has no value; give it one or remove the key');
    return undefined;
  }
  const text = expand(reading, node, place);
  if (text === undefined) return refuseEmptyRequired(reading, spec, place);
  const result = readScalar(spec, text);
  if ('problem' in result) reading.problem(place, result.problem);
  return 'value' in result ? result.value : undefined;
}

/** The scalar's text with its variables replaced; undefined when nothing is left, which means "not given". */
function expand(reading: Reading, node: Node & { value: unknown }, place: Place): string | undefined {
  const written = String(node.value);
  if (!reading.source.expands) return written;
  const { text, variables } = expandVariables(showBraces(written), reading.environment);
  for (const variable of variables.filter(({ isSet }) => !isSet)) {
    const position = variablePosition(reading.source, node, variable.written) ?? place;
    reading.warning({ ...place, ...position }, `the environment variable ${variable.name} is not set`);
  }
  return text === '' && variables.length > 0 ? undefined : text;
}

/** Where `written` stands inside the node; undefined when YAML's own escapes hide it. */
function variablePosition(source: YamlSource, node: Node, written: string): Partial<Place> | undefined {
  const [start, end] = node.range ?? [0, 0];
  const index = showBraces(source.text.slice(start, end)).indexOf(written);
  return index < 0 ? undefined : source.positionOf(start + index);
}

function refuseEmptyRequired(reading: Reading, spec: KeySpec, place: Place): undefined {
  if (spec.required === true) reading.problem(place, EMPTIED_BY_VARIABLE);
}

/** What YAML calls null: nothing, `~` or `null`, unquoted. */
function isEmptyScalar(node: unknown): boolean {
  if (!isScalar(node)) return false;
  if (typeof node.value !== 'string') return node.value === null;
  return node.type === 'PLAIN' && ['', '~', 'null', 'Null', 'NULL'].includes(node.value);
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

function placeOf(reading: Reading, cursor: Cursor): Place {
  const node = isScalar(cursor.node) && isEmptyScalar(cursor.node) ? undefined : cursor.node;
  return { ...reading.source.positionOf(offsetOf(node, cursor.fallbackOffset)), path: cursor.path };
}
