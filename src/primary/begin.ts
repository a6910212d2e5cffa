/**
 * The first look at a database: does its log continue the generation of the local state, or does a new one begin?
 * The verdict is `continuity.ts`; here the facts for it are read.
 */
import { isRivuletError } from '../base/errors.ts';
import type { Generation } from '../generations/names.ts';
import { type Chain, endsFrame, frameBytes, hasSaltsOf, scanFrames } from '../wal/frames.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import { chainAtTail, type ContinuityFacts, decideContinuity, type LogRemains } from './continuity.ts';
import { positionOf, readVerified, startOfLog } from './cursor.ts';
import { sameFile } from './database-file.ts';
import type { LogTail } from './log-tail.ts';
import { type OpenDatabase, readLog } from './open-database.ts';
import { isOverwrittenSince } from './overwritten-since.ts';
import type { LocalState, StateReading } from './state-file.ts';
import { type LogEnd, logEndOf } from './resume-point.ts';
import { liveBytes } from './take.ts';

/** Bytes of the log that are checked in one step. */
const STEP_BYTES = 1024 * 1024;
/** Only a restart during the comparison makes another one necessary. An application that restarts its log all the time costs a new generation. */
const COMPARISONS_MAX = 5;

export type Beginning =
  | {
      readonly kind: 'resumed';
      readonly generation: Generation;
      readonly tail: LogTail;
      readonly state: LocalState;
      /** Where earlier logs ended. */
      readonly ends: ReadonlyMap<number, LogEnd>;
    }
  | { readonly kind: 'new'; readonly reason: string };

/** Compares the log with the local state. Nothing is changed. */
export async function compareWithState(database: OpenDatabase, reading: StateReading): Promise<Beginning> {
  for (let attempt = 0; attempt < COMPARISONS_MAX; attempt++) {
    const beginning = await compareOnce(database, reading);
    if (beginning !== undefined) return beginning;
  }
  return { kind: 'new', reason: 'the write-ahead log was restarted again and again while it was looked at' };
}

/** @returns undefined when the log that was compared is not the one that would be followed: it was restarted in between */
async function compareOnce(database: OpenDatabase, reading: StateReading): Promise<Beginning | undefined> {
  const tail = await readLog(database, { index: 0, change: undefined });
  const verdict = decideContinuity(await gatherFacts(database, tail, reading));
  if (verdict.kind === 'new-generation') return { kind: 'new', reason: verdict.reason };
  if (reading.kind !== 'state') return { kind: 'new', reason: 'no local state' };
  const { state } = reading;
  const ends = new Map(state.ends);
  if (verdict.kind === 'next-log') ends.set(state.index, logEndOf(chainAtTail(state)));
  const after = verdict.kind === 'begun-log' ? state.after : undefined;
  const present = await readLog(database, { index: verdict.index, change: undefined, after });
  if (!isOfSameLog(tail, present)) return undefined;
  return { kind: 'resumed', generation: state.generation, tail: present, state, ends };
}

/** Whether nothing can have been committed to another log between two looks. */
function isOfSameLog(compared: LogTail, present: LogTail): boolean {
  if (!compared.isEmpty && !present.isEmpty)
    return Buffer.compare(compared.headerBytes, present.headerBytes) === 0;
  // One that had ended counts as empty once it is known to have ended.
  return present.isEmpty && present.change === compared.change;
}

async function gatherFacts(
  database: OpenDatabase,
  tail: LogTail,
  reading: StateReading,
): Promise<ContinuityFacts> {
  const { file, machine } = database;
  const log = tail.isEmpty ? undefined : { header: tail.format, bytes: tail.headerBytes };
  // After the log was read: what had not been checkpointed by then is in it.
  const isDatabaseUntouched =
    reading.kind === 'state' &&
    reading.state.stamp !== undefined &&
    file.stamp(Number.POSITIVE_INFINITY) === reading.state.stamp;
  const facts = {
    reading,
    identity: file.identity,
    bootId: machine.bootId(),
    log,
    isDatabaseUntouched,
    isOverwritten: await isOverwritten(database, tail, reading),
    frames: tail.frames,
  };
  if (reading.kind !== 'state' || reading.state.header.length === 0)
    return { ...facts, chainAtStateTail: undefined, remains: undefined };
  return {
    ...facts,
    chainAtStateTail: await chainAt(database, tail, reading.state.tailBytes),
    remains: readRemains(database, tail, reading.state),
  };
}

/** Asked only where the WAL is still the one of the state. */
async function isOverwritten(database: OpenDatabase, tail: LogTail, reading: StateReading): Promise<boolean> {
  if (tail.isEmpty || reading.kind !== 'state') return false;
  if (!sameFile(reading.state.identity, database.file.identity)) return false;
  const { header, after } = reading.state;
  const isSame =
    header.length === 0
      ? after?.salt1 === tail.format.salt1 && after.salt2 === tail.format.salt2
      : Buffer.compare(tail.headerBytes, header) === 0;
  return isSame && isOverwrittenSince(database, tail, reading.state);
}

function readRemains(database: OpenDatabase, tail: LogTail, state: LocalState): LogRemains {
  const old = chainAtTail(state);
  const size = frameBytes(old.header.pageSizeBytes);
  // The last frame that was read, and the place of the next one.
  const bytes = new Uint8Array(2 * size);
  const firstBytes = old.offsetBytes - size;
  const length = firstBytes < 0 ? 0 : database.wal.read(bytes, firstBytes);
  return {
    fileBytes: database.wal.sizeBytes(),
    newLogEndBytes: tail.position.offsetBytes,
    continuation: scanFrames(old, bytes, size, Math.max(size, length)),
    isOverwritten: length < 2 * size || hasSaltsOf(tail.format, bytes, size),
    isLastFrameThere: length >= size && endsFrame(old, bytes, 0),
  };
}

/**
 * The chain of the present log at an offset, or undefined when no valid frames lead exactly there.
 *
 * @throws RivuletError `DB_UNREADABLE` when the log cannot be read
 */
export async function chainAt(
  database: OpenDatabase,
  tail: LogTail,
  offsetBytes: number,
): Promise<Chain | undefined> {
  if (offsetBytes > tail.position.offsetBytes || offsetBytes < WAL_HEADER_BYTES) return undefined;
  const limits = { pageSizeBytes: tail.pageSizeBytes, maxBytes: STEP_BYTES };
  let cursor = startOfLog(0);
  while (positionOf(cursor).offsetBytes < offsetBytes) {
    try {
      cursor = readVerified(liveBytes(database, tail), cursor, offsetBytes, limits).cursor;
    } catch (error) {
      // What cannot be read at the moment is not shorter than it was.
      if (!isRivuletError(error, 'WAL_INVALID')) throw error;
      return undefined;
    }
    await database.machine.pause();
  }
  return cursor.chain?.offsetBytes === offsetBytes ? cursor.chain : undefined;
}
