/** What is being followed: one open database, in one generation, up to a place in its WAL; and what can be asked of that. */
import { formatPosition, type Generation, INDEX_MAX } from '../generations/names.ts';
import { endsFrame, FRAME_HEADER_BYTES, frameBytes } from '../wal/frames.ts';
import { isNextLog } from '../wal/wal-header.ts';
import type { CheckpointTurn } from './checkpoint-turn.ts';
import type { ForeignWrites } from './foreign-writes.ts';
import type { LogTail, Remains } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import type { ReadLock } from './read-lock.ts';

export interface Following {
  readonly database: OpenDatabase;
  readonly generation: Generation;
  readonly checkpoints: CheckpointTurn;
  readonly readLock: ReadLock;
  /** The file of the WAL: the read lock pins this one and no other. */
  readonly walInode: string;
  /** The start of the machine in which the generation began, where that is known. */
  readonly beganBootId: string | undefined;
  readonly tail: LogTail;
  readonly writes: ForeignWrites;
}

/** Another text for every place that a reader could find itself before: a new generation, a new WAL, new bytes. */
export function placeOf(following: Following | undefined): string {
  if (following === undefined) return 'no database';
  const { generation, tail } = following;
  return `${generation} ${formatPosition(tail.position)}`;
}

/**
 * Whether there is anything that the last look has not seen.
 *
 * @throws Error when the files do not answer
 */
export function hasUnseen(following: Following): boolean {
  const { file, index, wal } = following.database;
  if (!file.isCurrent() || !index.isCurrent() || !wal.exists()) return true;
  const reading = index.read();
  if (reading.kind !== 'index' || !following.tail.hasAllOf(reading.index)) return true;
  return !isReadable(following) && reading.index.backfilledFrames < reading.index.frames;
}

/**
 * Why the WAL that has taken the place of the followed one cannot be its continuation; undefined when it is.
 *
 * The read lock proves it where it was held since everything was read: the WAL before cannot have been restarted with more in it,
 * and what came after cannot have been restarted at all. Without it the counts of commits must add up (`commit-count.ts`), those that
 * are left of the old WAL included.
 */
export function doubtAboutNext(following: Following, { next, salt1, remains }: NextLog): string | undefined {
  const { tail, readLock } = following;
  if (next.index > INDEX_MAX) return 'the index has reached its maximum';
  if (readLock.covers) return undefined;
  if (!readLock.isCountTrusted(tail)) return 'the WAL was restarted while it was not pinned';
  if (!next.isCountable || remains?.scan.isPadded === true)
    return 'a transaction was committed and checkpointed between two looks';
  // A commit that nobody published, and one that nobody saw, would add up.
  if (remains !== undefined && !isNextLog(tail.format, { salt1 }))
    return 'the WAL went on after the last look, and was restarted more than once before the next one';
  return undefined;
}

/** The WAL that has taken the place of the followed one. */
export interface NextLog {
  readonly next: LogTail;
  /** Its salt, by the index. */
  readonly salt1: number;
  /** What was committed to the followed one after the last look. */
  readonly remains: Remains | undefined;
}

/**
 * Whether the file still has the header of the followed WAL, and the frame that was read last.
 *
 * @throws RivuletError `DB_UNREADABLE` when the system refuses
 */
export function isReadable({ database, tail }: Following): boolean {
  const { chain } = tail;
  if (tail.isEmpty || chain === undefined) return true;
  const head = new Uint8Array(FRAME_HEADER_BYTES);
  const length = database.wal.read(head, chain.offsetBytes - frameBytes(tail.pageSizeBytes));
  const isThere = length === head.length && database.wal.sizeBytes() >= chain.offsetBytes;
  return isThere && endsFrame(chain, head, 0) && tail.isSameLog();
}

/** Whether what was read last is in another file than the WAL that is followed. */
export function isLogReplaced({ database, walInode }: Following): boolean {
  return database.wal.inode !== walInode;
}
