/**
 * Was the database file written to by anything but checkpoints since the state was noted? Asked at a start where the WAL is still the one of the
 * state: it says nothing of a file that was copied over the database beside it, and SQLite then reads a mixture of both.
 *
 * Checkpoints put pages of this WAL into the file, and nothing else. So page 1 is the one that was noted, or one of this WAL; and where all of
 * the WAL was in the file already, the file has what the WAL has.
 */
import { hash } from 'node:crypto';
import { FRAME_HEADER_BYTES, framePage, hasSaltsOf, viewOf, walBytes } from '../wal/frames.ts';
import type { DatabaseFile } from './database-file.ts';
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import type { LocalState } from './state-file.ts';

/** Enough of the WAL's pages to tell one file from another. */
const PAGES_COMPARED_MAX = 256;
/** A checkpoint of the application may be writing a page just now. */
const READS_MAX = 3;

/** What tells page 1 of the file from others; undefined while it is being written. */
export function pageOneOf(file: DatabaseFile): string | undefined {
  const read = (): string => digestOf(readPage(file, 1, file.header.pageSizeBytes));
  const [first, again] = [read(), read()];
  return first === again ? first : undefined;
}

/** @throws RivuletError `DB_UNREADABLE` when the files cannot be read */
export async function isOverwrittenSince(
  database: OpenDatabase,
  tail: LogTail,
  state: LocalState,
): Promise<boolean> {
  const { file, machine } = database;
  // A power cut may bring back what a checkpoint wrote over.
  if (state.pageOne === undefined || state.bootId !== machine.bootId()) return false;
  if (file.stamp(Number.POSITIVE_INFINITY) === state.stamp) return false;
  for (let reads = 1; !isPageOneKnown(database, tail, state.pageOne); reads += 1) {
    if (reads === READS_MAX) return true;
    await machine.pause();
  }
  return isNothingNew(tail, state) && lacksOfWal(file, framesOf(database, tail));
}

/** All of the WAL was in the file, and nothing was committed since: no checkpoint has anything to write. */
function isNothingNew(tail: LogTail, { stamp, header, tailBytes, after }: LocalState): boolean {
  if (stamp === undefined) return false;
  return header.length === 0 ? tail.frames === after?.frames : tail.position.offsetBytes === tailBytes;
}

interface Frame {
  readonly page: number;
  readonly bytes: () => Uint8Array;
}

/** The committed frames of the WAL, the newest first. */
function framesOf({ wal }: OpenDatabase, tail: LogTail): readonly Frame[] {
  const { pageSizeBytes } = tail;
  const frames: Frame[] = [];
  const head = new Uint8Array(FRAME_HEADER_BYTES);
  for (let frame = tail.frames - 1; frame >= 0; frame -= 1) {
    const offsetBytes = walBytes(frame, pageSizeBytes);
    if (wal.read(head, offsetBytes) < head.length || !hasSaltsOf(tail.format, head, 0)) break;
    const bytes = (): Uint8Array => {
      const page = new Uint8Array(pageSizeBytes);
      return page.subarray(0, wal.read(page, offsetBytes + FRAME_HEADER_BYTES));
    };
    frames.push({ page: framePage(viewOf(head), 0), bytes });
  }
  return frames;
}

function isPageOneKnown(database: OpenDatabase, tail: LogTail, noted: string): boolean {
  const { file } = database;
  const present = digestOf(readPage(file, 1, file.header.pageSizeBytes));
  if (present === noted) return true;
  return framesOf(database, tail).some(({ page, bytes }) => page === 1 && digestOf(bytes()) === present);
}

function lacksOfWal(file: DatabaseFile, frames: readonly Frame[]): boolean {
  const pages = Math.floor(file.sizeBytes() / file.header.pageSizeBytes);
  const seen = new Set<number>();
  for (const { page, bytes } of frames) {
    // What is behind the end of the database is not put into the file.
    if (page > pages || seen.has(page)) continue;
    seen.add(page);
    const inWal = bytes();
    if (Buffer.compare(readPage(file, page, inWal.length), inWal) !== 0) return true;
    if (seen.size === PAGES_COMPARED_MAX) break;
  }
  return false;
}

function readPage(file: DatabaseFile, page: number, pageSizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(pageSizeBytes);
  file.read(bytes, (page - 1) * pageSizeBytes);
  return bytes;
}

function digestOf(page: Uint8Array): string {
  return hash('sha256', page, 'base64');
}
