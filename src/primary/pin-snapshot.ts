/** Begins a consistent copy at a known position of the log. */
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import type { LogEnd } from './resume-point.ts';
import { makeSnapshot, type Snapshot } from './snapshot-source.ts';

/** More than this ahead is not read between two looks at the end of the log. */
const AHEAD_BYTES = 1024 * 1024;

/**
 * The position of a read transaction is known when the end of the log is the same before and after its begin. Answers
 * undefined when a writer came in between.
 *
 * @param previousEnd - where the log before ended, as far as known
 */
export function pinSnapshot(
  database: OpenDatabase,
  tail: LogTail,
  previousEnd: LogEnd | undefined,
): Snapshot | undefined {
  if (!tail.isSameLog() || !tail.advanceNow(AHEAD_BYTES)) return undefined;
  const before = tail.position.offsetBytes;
  const reader = database.connections.openReader();
  const settled = tail.advanceNow(0) && tail.isSameLog() && tail.position.offsetBytes === before;
  if (!settled) {
    reader.end();
    return undefined;
  }
  return makeSnapshot({
    file: database.file,
    wal: database.wal,
    tail: tail.chain,
    index: tail.index,
    commitPageCount: tail.commitPageCount,
    previousEnd,
    endRead: () => reader.end(),
    isSameLog: () => tail.isSameLog(),
    pause: database.machine.pause,
  });
}
