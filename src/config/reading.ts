import { isScalar } from 'yaml';

import type { Place, Places } from './places.ts';
import { offsetOf } from './yaml-source.ts';
import type { ReadingBudget } from './reading-budget.ts';
import type { YamlSource } from './yaml-source.ts';

/** What reading needs and collects. Problems are collected, not thrown, so that one run reports all of them. */
export interface Reading {
  readonly source: YamlSource;
  readonly environment: NodeJS.ProcessEnv;
  readonly places: Places;
  readonly budget: ReadingBudget;
  problem(place: Place, message: string): void;
  warning(place: Place, message: string): void;
}

/** A node on its way through the reader: its key's path, and an offset for nodes that have none. */
export interface Cursor {
  readonly node: unknown;
  readonly path: string;
  readonly fallbackOffset: number;
}

/** Said of a key without a value. */
export const HAS_NO_VALUE = 'has no value; give it one or remove the key';

/** What YAML calls null: nothing, `~` or `null`, unquoted. */
export function isEmptyScalar(node: unknown): boolean {
  if (!isScalar(node)) return false;
  if (typeof node.value !== 'string') return node.value === null;
  return node.type === 'PLAIN' && ['', '~', 'null', 'Null', 'NULL'].includes(node.value);
}

/** Where a node stands; for an empty value, where its key stands. */
export function placeOf(reading: Reading, cursor: Cursor): Place {
  const node = isScalar(cursor.node) && isEmptyScalar(cursor.node) ? undefined : cursor.node;
  return { ...reading.source.positionOf(offsetOf(node, cursor.fallbackOffset)), path: cursor.path };
}
