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
  for (const [name, variable] of unsetIn(variables)) {
    const position = variablePosition(reading.source, node, variable) ?? place;
    reading.warning({ ...place, ...position }, `the environment variable ${name} is not set`);
  }
  return text === '' && variables.length > 0 ? undefined : text;
}

/** More in one value are not reported. */
const UNSET_REPORTED_MAX = 10;

/** The names of the first few variables that are not set, each once, with how they are written. */
function unsetIn(variables: readonly ExpandedVariable[]): ReadonlyMap<string, string> {
  const unset = new Map<string, string>();
  for (const { name, written, isSet } of variables) {
    if (!isSet && !unset.has(name)) unset.set(name, written);
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

function refuseEmptyRequired(reading: Reading, spec: KeySpec, place: Place): undefined {
  if (spec.required === true) reading.problem(place, EMPTIED_BY_VARIABLE);
}
