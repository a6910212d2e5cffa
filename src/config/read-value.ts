import { isMap, isScalar } from 'yaml';
import type { Node } from 'yaml';

import { EMPTIED_BY_VARIABLE, expandVariables, showBraces } from './expand-environment.ts';
import type { ExpandedVariable } from './expand-environment.ts';
import type { KeySpec } from './key-spec.ts';
import type { Place } from './places.ts';
import { readScalar } from './read-scalar.ts';
import { HAS_NO_VALUE, isEmptyScalar, placeOf } from './reading.ts';
import type { Cursor, Reading } from './reading.ts';
import { followAlias } from './yaml-source.ts';
import type { YamlSource } from './yaml-source.ts';

/** The value of a key that has a single one; undefined when it is not given or was refused. */
export function readSingleValue(reading: Reading, spec: KeySpec, cursor: Cursor): unknown {
  const node = followAlias(reading.source, cursor.node);
  const place = placeOf(reading, cursor);
  if (!isScalar(node)) {
    reading.problem(place, `expected a single value, not ${isMap(node) ? 'a section' : 'a list'}`);
    return undefined;
  }
  if (isEmptyScalar(node)) {
    reading.problem(place, HAS_NO_VALUE);
    return undefined;
  }
  reading.budget.spend(() => place, String(node.value).length);
  const text = expand(reading, node, place);
  if (typeof text !== 'string') return refuseEmptied(reading, spec, place, text);
  const result = readScalar(spec, text);
  if ('problem' in result) reading.problem(place, result.problem);
  return 'value' in result ? result.value : undefined;
}

/** What is left of a value by its variables: nothing. */
interface Emptied {
  /** The first that is not set or empty, and has no default; undefined where all of them have one: nothing is meant. */
  readonly by: ExpandedVariable | undefined;
}

/** The scalar's text with its variables replaced. */
function expand(reading: Reading, node: Node & { value: unknown }, place: Place): string | Emptied {
  const written = String(node.value);
  if (!reading.source.expands) return written;
  const { text, variables } = expandVariables(showBraces(written), reading.environment);
  for (const [name, variable] of unsetIn(variables)) {
    const position = variablePosition(reading.source, node, variable) ?? place;
    reading.warning({ ...place, ...position }, `the environment variable ${name} is not set`);
  }
  if (text !== '' || variables.length === 0) return text;
  return { by: variables.find(({ hasDefault }) => !hasDefault) };
}

/** More in one value are not reported. */
const UNSET_REPORTED_MAX = 10;

/** The names of the first few variables that are not set, each once, with how they are written. */
function unsetIn(variables: readonly ExpandedVariable[]): ReadonlyMap<string, string> {
  const unset = new Map<string, string>();
  for (const { name, written, isSet, hasDefault } of variables) {
    if (!isSet && !hasDefault && !unset.has(name)) unset.set(name, written);
    if (unset.size >= UNSET_REPORTED_MAX) break;
  }
  return unset;
}

/** Where `written` stands inside the node; undefined when YAML's own escapes hide it. */
function variablePosition(source: YamlSource, node: Node, written: string): Partial<Place> | undefined {
  const [start, end] = node.range ?? [0, 0];
  const index = showBraces(source.text.slice(start, end)).indexOf(written);
  return index < 0 ? undefined : source.positionOf(start + index);
}

/** These only say how fast or how loud something is done; without them it is done with the default. */
const TUNING_KEYS: ReadonlySet<string> = new Set([
  'level',
  'stderr',
  'monitor-interval',
  'checkpoint-interval',
  'min-checkpoint-page-count',
  'max-checkpoint-page-count',
  'sync-interval',
  'bandwidth-limit',
  'max-concurrent-requests',
  'request-timeout',
  'part-size',
  'concurrency',
  'wal-limit',
  'spool-limit',
  'shutdown-timeout',
]);

/**
 * A key that is left empty by accident means another place, another identity, or no encryption. Whoever means nothing
 * writes `${NAME:-}`.
 */
function refuseEmptied(reading: Reading, spec: KeySpec, place: Place, { by }: Emptied): undefined {
  if (by === undefined) {
    if (spec.required === true) reading.problem(place, EMPTIED_BY_VARIABLE);
    return;
  }
  if (spec.required !== true && TUNING_KEYS.has(spec.key)) return;
  const why = by.isSet ? 'is set to nothing' : 'is not set';
  const { name } = by;
  const rest =
    spec.required === true ? '' : `; where nothing is meant, write \${${name}:-} or remove the key`;
  reading.problem(place, `is empty, because the environment variable ${name} ${why}${rest}`);
}
