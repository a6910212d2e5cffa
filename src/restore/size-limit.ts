/**
 * How large a chain may make the database. A commit frame says how many pages the database has, and that number alone costs
 * a forger four bytes; so it is held against the pages that came.
 *
 * SQLite makes a database larger only by writing pages, and every page that it writes becomes a frame of the same
 * transaction. Two kinds of pages come without a frame: the lock-byte page at 1 GiB, which is never written, and zeros at
 * the end of a file that grows in chunks (`SQLITE_FCNTL_CHUNK_SIZE`), which count when a log begins on such a file.
 *
 * What counts is the size at the end of a log, as for SQLite's checkpoint. Commits before it may be of a larger database: a
 * snapshot is often younger than the beginning of its log.
 */
import type { SegmentEntry } from '../generations/inventory.ts';

/** Chunks are some MiB at most; a larger one would still be restored. */
const UNWRITTEN_BYTES_MAX = 256 * 1024 * 1024;

/** What was seen so far; ready for `JSON.stringify`. */
export interface SizeSeen {
  /** Pages that came, up to the end of the log before; undefined: nobody knows, and the next size is believed. */
  readonly pageCount: number | undefined;
  /** Frames of this log whose page is none of those. */
  readonly newFrames: number;
  readonly highestPage: number;
  /** What the last commit of this log says; 0 when there is none. */
  readonly committedPages: number;
}

/** A size that nothing accounts for. */
export interface Oversize {
  /** The segment with the commit; undefined when it came before this process looked. */
  readonly segment: SegmentEntry | undefined;
  readonly pageCount: number;
  readonly pagesSeen: number;
}

export class SizeLimit {
  readonly #unwrittenPagesMax: number;
  #pageCount: number | undefined;
  #newFrames: number;
  #highestPage: number;
  #committedPages: number;
  #segment: SegmentEntry | undefined;

  constructor(pageSizeBytes: number, seen: SizeSeen) {
    this.#unwrittenPagesMax = Math.ceil(UNWRITTEN_BYTES_MAX / pageSizeBytes);
    this.#pageCount = seen.pageCount;
    this.#newFrames = seen.newFrames;
    this.#highestPage = seen.highestPage;
    this.#committedPages = seen.committedPages;
  }

  get seen(): SizeSeen {
    return {
      pageCount: this.#pageCount,
      newFrames: this.#newFrames,
      highestPage: this.#highestPage,
      committedPages: this.#committedPages,
    };
  }

  frame(pageNumber: number): void {
    if (pageNumber > (this.#pageCount ?? 0)) this.#newFrames += 1;
    if (pageNumber > this.#highestPage) this.#highestPage = pageNumber;
  }

  commit(pageCount: number, segment: SegmentEntry): void {
    this.#committedPages = pageCount;
    this.#segment = segment;
  }

  /** What is wrong with the size that the database has now, if something is. */
  oversize(): Oversize | undefined {
    const pagesSeen = this.#pagesSeen();
    const pageCount = this.#committedPages;
    if (pagesSeen === undefined || pageCount <= pagesSeen + this.#unwrittenPagesMax) return undefined;
    return { segment: this.#segment, pageCount, pagesSeen };
  }

  /** The next log begins. */
  logEnded(): void {
    const pagesSeen = this.#pagesSeen() ?? this.#committedPages;
    // It never goes down: on some systems a file stays as long as it was.
    this.#pageCount = Math.max(this.#pageCount ?? 0, Math.min(this.#committedPages, pagesSeen));
    this.#newFrames = 0;
    this.#highestPage = 0;
    this.#committedPages = 0;
    this.#segment = undefined;
  }

  /** Both have to account for the size: as many pages, and one at the end. */
  #pagesSeen(): number | undefined {
    if (this.#pageCount === undefined) return undefined;
    return Math.max(this.#pageCount, Math.min(this.#pageCount + this.#newFrames, this.#highestPage));
  }
}

/** Before the first frame behind a snapshot of so many pages. */
export function sizeOfSnapshot(pageCount: number): SizeSeen {
  return { pageCount, newFrames: 0, highestPage: 0, committedPages: 0 };
}

/** Where an older version has noted how far it got, and nothing of sizes. */
export const SIZE_UNKNOWN: SizeSeen = {
  pageCount: undefined,
  newFrames: 0,
  highestPage: 0,
  committedPages: 0,
};
