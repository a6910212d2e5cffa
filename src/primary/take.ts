/** The next stretch of verified log bytes behind a cursor, wherever it is to be had. */
import { messageOf, RivuletError } from '../base/errors.ts';
import { isReadFailure } from '../base/read-failure.ts';
import { formatPosition, type Position } from '../generations/names.ts';
import { checksumsEqual } from '../wal/checksum.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import {
  type Cursor,
  type LogBytes,
  positionOf,
  type ReadLimits,
  readVerified,
  startOfLog,
} from './cursor.ts';
import type { LogKeeper } from './log-keeper.ts';
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import { type LogEnd, logEndOf } from './resume-point.ts';

export type Taken =
  | {
      readonly kind: 'bytes';
      readonly bytes: Uint8Array;
      readonly from: Position;
      readonly cursor: Cursor;
      /** Where the log before this one ended, as far as known. */
      readonly previousEndBytes: number | undefined;
    }
  | { readonly kind: 'caught-up' }
  /** What would come next is not there any more; a fresh snapshot is the only way on. */
  | { readonly kind: 'lost'; readonly why: string };

export interface TakeParts {
  readonly database: OpenDatabase;
  readonly tail: LogTail;
  readonly keeper: LogKeeper;
}

/** The live log as a source that notices when it has become the next one. */
export function liveBytes({ wal }: Pick<OpenDatabase, 'wal'>, { headerBytes }: LogTail): LogBytes {
  return { header: headerBytes, read: (into, offsetBytes) => wal.read(into, offsetBytes) };
}

/** @throws RivuletError `DB_UNREADABLE`, `STATE_INVALID` when what comes next cannot be read: it is tried again later */
export function takeNext(parts: TakeParts, cursor: Cursor, limits: Omit<ReadLimits, 'pageSizeBytes'>): Taken {
  const { tail, keeper } = parts;
  if (cursor.index > tail.index) return { kind: 'lost', why: 'the destination is ahead of the database' };
  const isPresent = cursor.index === tail.index;
  if (isPresent && tail.chain === undefined) return { kind: 'caught-up' };
  const end = isPresent && tail.chain !== undefined ? logEndOf(tail.chain) : keeper.ends.get(cursor.index);
  if (end === undefined) return { kind: 'lost', why: `nothing is known of log ${cursor.index}` };
  if (positionOf(cursor).offsetBytes >= end.offsetBytes || end.offsetBytes <= WAL_HEADER_BYTES) {
    return isPresent ? { kind: 'caught-up' } : takeNext(parts, startOfLog(cursor.index + 1), limits);
  }
  return takeFrom(parts, cursor, end, { ...limits, pageSizeBytes: tail.pageSizeBytes });
}

/** The live log can be restarted at any moment once it is captured; then the spool has what it had. */
function sourcesOf({ database, tail, keeper }: TakeParts, index: number): LogBytes[] {
  const spooled = keeper.spooled(index);
  return index === tail.index ? [liveBytes(database, tail), spooled] : [spooled];
}

/** What checks out by itself may be of another log, or of a history that this one has lost: it must lead to the known end. */
function assertLeadsTo({ chain }: Cursor, end: LogEnd): void {
  if (chain === undefined) return;
  const { header, offsetBytes, checksum } = chain;
  const isOfLog = header.salt1 === end.salts[0] && header.salt2 === end.salts[1];
  if (!isOfLog) throw new RivuletError('WAL_INVALID', 'what was kept of it is of another log');
  if (offsetBytes === end.offsetBytes && !checksumsEqual(checksum, end.checksum))
    throw new RivuletError('WAL_INVALID', 'what was kept of it does not lead to where it ended');
}

function takeFrom(parts: TakeParts, cursor: Cursor, end: LogEnd, limits: ReadLimits): Taken {
  const from = positionOf(cursor);
  const previousEndBytes = parts.keeper.ends.get(from.index - 1)?.offsetBytes;
  let problem: unknown;
  let failure: unknown;
  for (const source of sourcesOf(parts, cursor.index)) {
    try {
      const read = readVerified(source, cursor, end.offsetBytes, limits);
      assertLeadsTo(read.cursor, end);
      return { kind: 'bytes', from, previousEndBytes, ...read };
    } catch (error) {
      if (isReadFailure(error)) failure ??= error;
      else problem = error;
    }
  }
  // A place that cannot be read may have it.
  if (failure !== undefined) throw failure;
  return {
    kind: 'lost',
    why: `the log at ${formatPosition(from)} is not to be had any more: ${messageOf(problem)}`,
  };
}
