/** What keeps the log from being moved into the database file, and so from being used anew. Pure. */
import { comparePositions, type Position } from '../generations/names.ts';

export type LogPin =
  /** This destination lacks so much of the log that the checkpoint waits for it. */
  | { readonly by: 'destination'; readonly replica: string }
  /** The database is being copied for a snapshot; or a snapshot for which there is no copy is being uploaded. */
  | { readonly by: 'snapshot'; readonly forMs: number }
  /** A connection of another process reads, or checkpoints, and has done so since before the last attempt. */
  | { readonly by: 'reader'; readonly forMs: number }
  /** A connection of another process holds the write lock, or writes faster than can be read. */
  | { readonly by: 'writer'; readonly forMs: number };

export interface PinFacts {
  /** How the last attempt at a checkpoint ended, and how long attempts have ended like that. */
  readonly hindrance: { readonly outcome: 'partial' | 'outrun' | 'busy'; readonly forMs: number } | undefined;
  /** Snapshots of this process that read the live database in a read transaction. */
  readonly pinnedSnapshots: number;
  /** How long a copy has been made that needs more of the log than any destination; undefined when none does. */
  readonly copyingForMs: number | undefined;
  /** Whether destinations or copies lack so much that no checkpoint is tried. */
  readonly isWaiting: boolean;
  readonly confirmed: ReadonlyMap<string, Position>;
}

/** @returns undefined when nothing does */
export function logPin(facts: PinFacts): LogPin | undefined {
  const { hindrance, pinnedSnapshots, copyingForMs, isWaiting, confirmed } = facts;
  const replica = slowestOf(confirmed);
  if (isWaiting && copyingForMs !== undefined) return { by: 'snapshot', forMs: copyingForMs };
  if (isWaiting && replica !== undefined) return { by: 'destination', replica };
  if (hindrance === undefined) return undefined;
  const { outcome, forMs } = hindrance;
  if (outcome !== 'partial') return { by: 'writer', forMs };
  return { by: pinnedSnapshots > 0 ? 'snapshot' : 'reader', forMs };
}

function slowestOf(confirmed: ReadonlyMap<string, Position>): string | undefined {
  const [first, ...rest] = confirmed;
  if (first === undefined) return undefined;
  return rest.reduce((least, one) => (comparePositions(one[1], least[1]) < 0 ? one : least), first)[0];
}
