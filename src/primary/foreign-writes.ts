/**
 * Notices that somebody has written into the database file itself, as by a copy over it. Only checkpoints write there, and they leave traces:
 * the WAL index says how many frames are in the file, and page 1 is always one that was committed. So when the file's size or time has changed,
 * and the index says that no checkpoint has got on:
 *
 * - page 1 is neither what it was nor in the WAL: the file was overwritten.
 * - a page of the WAL that was put into the file is not there: the file was overwritten.
 * - all of the WAL is in the file, so that no checkpoint can be running, and nothing tells more: it may have been overwritten by something similar, or only touched. Some
 *   file systems set the time of a late write later, so this counts only some time after the last checkpoint, and at most once an hour.
 *
 * A checkpoint that is running explains itself when it ends.
 */
import type { Clock } from '../base/clock.ts';
import { FRAME_HEADER_BYTES, frameCommit, framePage, hasSaltsOf, viewOf, walBytes } from '../wal/frames.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import type { OpenDatabase } from './open-database.ts';

/** Late writes of file systems are over by then. */
const LATE_WRITES_MS = 60_000;
/** What is in doubt costs a snapshot at most so often. */
const DOUBTS_APART_MS = 3_600_000;
/** Enough of the WAL's pages to tell one file from another. */
const PAGES_COMPARED_MAX = 256;

export interface ForeignWritesParts {
  readonly database: Pick<OpenDatabase, 'file' | 'wal' | 'published'>;
  readonly pageSizeBytes: number;
  readonly clock: Clock;
  /** Of the database, kept from one following to the next. */
  readonly doubts: Doubts;
}

/** When a doubt was the reason to begin again. */
export interface Doubts {
  lastMs: number;
}

export function noDoubts(): Doubts {
  return { lastMs: Number.NEGATIVE_INFINITY };
}

/** Another text for each step that checkpoints make. */
function stepOf({ salt1, salt2, backfilledFrames }: WalIndex): string {
  return `${salt1} ${salt2} ${backfilledFrames}`;
}

export class ForeignWrites {
  readonly #parts: ForeignWritesParts;
  /** Of the file, when it was explained last. */
  #stamp: string;
  #step: string;
  #pageOne: Uint8Array;
  #explainedMs: number;
  /** Of a file that has everything that the WAL has. */
  #comparedStamp = '';

  /** The file is as it should be now. */
  constructor(parts: ForeignWritesParts) {
    this.#parts = parts;
    this.#stamp = this.#stampNow();
    this.#step = stepOf(parts.database.published());
    this.#pageOne = this.#readPage(1);
    this.#explainedMs = parts.clock.monotonicMs();
  }

  /**
   * Whether somebody has overwritten the file since the last look.
   *
   * @throws RivuletError `DB_UNREADABLE`, `DB_BUSY`
   */
  isOverwritten(): boolean {
    const stamp = this.#stampNow();
    const index = this.#parts.database.published();
    if (stamp === this.#stamp) {
      this.#step = stepOf(index);
      return false;
    }
    if (stepOf(index) !== this.#step) {
      this.#explain(stamp, index);
      return false;
    }
    if (this.#isPageOneForeign(index) || this.#lacksOfWal(index, stamp)) {
      const again = this.#parts.database.published();
      // A checkpoint that ended, or a WAL that began, while both were read.
      return stepOf(again) === this.#step && again.frames === index.frames;
    }
    return this.#isInDoubt(index);
  }

  #explain(stamp: string, index: WalIndex): void {
    // Where it cannot be read nothing is explained yet.
    this.#pageOne = this.#readPage(1);
    this.#stamp = stamp;
    this.#step = stepOf(index);
    this.#explainedMs = this.#parts.clock.monotonicMs();
  }

  /** The size, and the time of the last write. */
  #stampNow(): string {
    return this.#parts.database.file.stamp(Number.POSITIVE_INFINITY) ?? '';
  }

  #readPage(page: number): Uint8Array {
    const { database, pageSizeBytes } = this.#parts;
    const bytes = new Uint8Array(pageSizeBytes);
    database.file.read(bytes, (page - 1) * pageSizeBytes);
    return bytes;
  }

  #isPageOneForeign(index: WalIndex): boolean {
    const present = this.#readPage(1);
    if (isSame(present, this.#pageOne)) return false;
    for (const { page, offsetBytes } of this.#framesFromEnd(index)) {
      if (page !== 1 || !isSame(present, this.#readFrame(offsetBytes))) continue;
      this.#pageOne = present;
      return false;
    }
    // A checkpoint may have been writing it just now.
    return isSame(present, this.#readPage(1));
  }

  /**
   * Whether a page that was put into the file is not there. A checkpoint that comes only so far leaves a page out whose newest frame is
   * further on, so of such a page nobody knows.
   */
  #lacksOfWal(index: WalIndex, stamp: string): boolean {
    if (stamp === this.#comparedStamp) return false;
    const seen = new Set<number>();
    let comparedCount = 0;
    let pagesMin = index.pageCount;
    for (const { frame, page, commitPages, offsetBytes } of this.#framesFromEnd(index)) {
      if (commitPages > 0) pagesMin = Math.min(pagesMin, commitPages);
      const isNewest = !seen.has(page);
      seen.add(page);
      // What is behind the end of the database is not put into the file.
      if (!isNewest || page > pagesMin || frame >= index.backfilledFrames) continue;
      if (!isSame(this.#readPage(page), this.#readFrame(offsetBytes))) return true;
      if (++comparedCount >= PAGES_COMPARED_MAX) break;
    }
    this.#comparedStamp = stamp;
    return false;
  }

  #isInDoubt(index: WalIndex): boolean {
    const { clock, doubts } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (!isAllInFile(index) || nowMs - this.#explainedMs < LATE_WRITES_MS) return false;
    if (nowMs - doubts.lastMs < DOUBTS_APART_MS) return false;
    doubts.lastMs = nowMs;
    return true;
  }

  /** Frames of the present WAL, the newest first; none more when one is not of it. */
  *#framesFromEnd(index: WalIndex): Iterable<FrameHead> {
    const { database, pageSizeBytes } = this.#parts;
    const head = new Uint8Array(FRAME_HEADER_BYTES);
    for (let frame = index.frames - 1; frame >= 0; frame--) {
      const offsetBytes = walBytes(frame, pageSizeBytes);
      if (database.wal.read(head, offsetBytes) < head.length || !hasSaltsOf(index, head, 0)) return;
      const view = viewOf(head);
      yield { frame, page: framePage(view, 0), commitPages: frameCommit(view, 0), offsetBytes };
    }
  }

  #readFrame(offsetBytes: number): Uint8Array {
    const { database, pageSizeBytes } = this.#parts;
    const bytes = new Uint8Array(pageSizeBytes);
    const length = database.wal.read(bytes, offsetBytes + FRAME_HEADER_BYTES);
    return bytes.subarray(0, length);
  }
}

interface FrameHead {
  /** From 0. */
  readonly frame: number;
  readonly page: number;
  /** Size of the database in pages where it is a commit frame; otherwise 0. */
  readonly commitPages: number;
  readonly offsetBytes: number;
}

function isAllInFile({ backfilledFrames, frames }: WalIndex): boolean {
  return backfilledFrames >= frames;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
