/** Begins a consistent copy at a known position of the log. */
import { CHECKSUM_START } from '../wal/checksum.ts';
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import type { ReadAgainDeps } from './read-again.ts';
import type { LogEnd } from './resume-point.ts';
import { makeSnapshot, type Snapshot, type SnapshotSourceParts } from './snapshot-source.ts';

/** More than this ahead is not read between two looks at the end of the log. */
const AHEAD_BYTES = 1024 * 1024;

/**
 * The position of a read transaction is known when the end of the log is the same before and after its begin. Answers
 * undefined when a writer came in between.
 *
 * @param previousEnd - where the log before ended, as far as known
 * @throws what reading the log throws; the read transaction has ended then
 */
export function pinSnapshot(
  database: OpenDatabase,
  tail: LogTail,
  previousEnd: LogEnd | undefined,
  deps: ReadAgainDeps,
): Snapshot | undefined {
  if (!tail.isSameLog() || !tail.advanceNow(AHEAD_BYTES)) return undefined;
  const before = tail.position.offsetBytes;
  const reader = database.openReader();
  let snapshot: Snapshot | undefined;
  try {
    const settled = tail.advanceNow(0) && tail.isSameLog() && tail.position.offsetBytes === before;
    if (settled) snapshot = makeSnapshot(sourceOf(database, tail, previousEnd, () => reader.end(), deps));
  } finally {
    // A transaction that stays open would keep the log from shrinking for ever.
    if (snapshot === undefined) reader.end();
  }
  return snapshot;
}

/** What a snapshot at the end of `tail` is read from. */
export function sourceOf(
  { file, wal, machine }: OpenDatabase,
  tail: LogTail,
  previousEnd: LogEnd | undefined,
  endRead: () => void,
  deps: ReadAgainDeps,
): SnapshotSourceParts {
  const isSameLog = (): boolean => tail.isSameLog();
  const { index, commitPageCount } = tail;
  const chain = tail.chain ?? { header: tail.format, offsetBytes: 0, checksum: CHECKSUM_START };
  const parts = { file, wal, tail: chain, index, commitPageCount, previousEnd, endRead, isSameLog };
  return { ...parts, pause: machine.pause, ...deps };
}
