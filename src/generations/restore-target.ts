/** What somebody wants back, and the command-line flags that say so. */
import { type Generation, formatIndex } from './names.ts';

/** Nothing given means the latest state. `index` and `timestampMs` exclude each other. */
export interface RestoreTarget {
  /** Only this generation is looked at. */
  readonly generation?: Generation | undefined;
  /** The state at the end of this index, with every segment that it has. */
  readonly index?: number | undefined;
  /** With `index`: the state behind the last commit before this byte of it, which the chain must reach. */
  readonly offsetBytes?: number | undefined;
  /** The state at this moment, in milliseconds since 1970; later than the last upload means the latest. */
  readonly timestampMs?: number | undefined;
}

/** The same target without needless parts: the start of a log is the end of the one before. */
export function normalizeTarget(target: RestoreTarget): RestoreTarget {
  const { index, offsetBytes } = target;
  if (index === undefined || offsetBytes !== 0 || index === 0) return target;
  return { generation: target.generation, index: index - 1 };
}

/** A moment as messages and flags show it: RFC 3339 with milliseconds. */
export function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** The flags of `restore` that ask for `target`; empty for the latest state. */
export function formatTargetFlags(target: RestoreTarget): string {
  const flags: string[] = [];
  if (target.generation !== undefined) flags.push(`-generation ${target.generation}`);
  if (target.index !== undefined) flags.push(`-index ${formatIndex(target.index)}`);
  if (target.timestampMs !== undefined) flags.push(`-timestamp ${formatTime(target.timestampMs)}`);
  return flags.join(' ');
}
