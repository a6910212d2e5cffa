/** What is being followed: one open database, in one generation, up to a place in its log; and what can be asked of that. */
import { formatPosition, type Generation, INDEX_MAX } from '../generations/names.ts';
import { walBytes } from '../wal/frames.ts';
import type { CheckpointTurn } from './checkpoint-turn.ts';
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';

export interface Following {
  readonly database: OpenDatabase;
  readonly generation: Generation;
  readonly checkpoints: CheckpointTurn;
  /** The file of the log: the hold pins this one and no other. */
  readonly walInode: string;
  /** The start of the machine in which the generation began, where that is known. */
  readonly beganBootId: string | undefined;
  readonly tail: LogTail;
}

/** Another text for every place that a reader could find itself before: a new generation, a new log, new bytes. */
export function placeOf(following: Following | undefined): string {
  if (following === undefined) return 'no database';
  const { generation, tail } = following;
  return `${generation} ${formatPosition(tail.position)}`;
}

/**
 * Whether there is anything that the last look has not seen.
 *
 * @throws Error when the files or SQLite do not answer
 */
export function hasUnseen({ database, tail }: Following): boolean {
  if (!database.file.isCurrent()) return true;
  const reading = database.wal.header();
  if (reading === undefined) return !database.wal.exists();
  if (Buffer.compare(reading.bytes, tail.headerBytes) !== 0) return true;
  return walBytes(database.connections.publishedFrames(), tail.pageSizeBytes) > tail.position.offsetBytes;
}

/**
 * Why the log that has taken the place of the followed one cannot be its continuation; undefined when it is. The hold
 * proves it, not the salts: an application may truncate an empty log again and again, and SQLite draws new random
 * salts when the first to write then is a connection that never restarted a log.
 */
export function doubtAboutNext({ tail, database }: Following): string | undefined {
  if (tail.index + 1 > INDEX_MAX) return 'the index has reached its maximum';
  if (!database.connections.holding) return 'the log was restarted while it was not pinned';
  return undefined;
}

/**
 * Begins the read transaction that pins the log again, where a failure of SQLite has ended it. A log that is another one by now
 * is left unpinned, for `doubtAboutNext` to find.
 *
 * @returns false when the log was restarted in the moment before it was pinned
 */
export function isPinnedAgain({ database, tail }: Following): boolean {
  if (database.connections.holding || !tail.isSameLog()) return true;
  database.connections.hold();
  return tail.isSameLog();
}

/** Whether what was read last is in another file than the log that is followed. */
export function isLogReplaced({ database, walInode }: Following): boolean {
  return database.wal.inode !== walInode;
}
