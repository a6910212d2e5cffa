/**
 * The database being built: pages of committed transactions, placed at their offset. Writes are collected, so that
 * a page that changes a thousand times is written a few times, and neighbours are written together.
 */
import { ftruncateSync, writeSync } from 'node:fs';

/** Neighbouring pages are copied together up to this size: fewer system calls than pages. */
const RUN_BYTES_MAX = 1024 * 1024;

/** Writes all of `bytes[0, length)` at `position`; a short write continues. */
export function writeFully(fd: number, bytes: Uint8Array, length: number, position: number): void {
  for (let done = 0; done < length;) done += writeSync(fd, bytes, done, length - done, position + done);
}

export class PageFile {
  readonly #fd: number;
  readonly #pageSizeBytes: number;
  /** Grows with the longest run, so that a small database does not take the most at once. */
  #run: Uint8Array = new Uint8Array(0);
  #pending = new Map<number, Uint8Array>();
  /** Pages that the file on disk has, apart from what is pending. */
  #writtenPages: number;
  #pageCount: number;

  /** @param pageCount - pages that the file has already */
  constructor(fd: number, pageSizeBytes: number, pageCount: number) {
    this.#fd = fd;
    this.#pageSizeBytes = pageSizeBytes;
    this.#writtenPages = pageCount;
    this.#pageCount = pageCount;
  }

  get sizeBytes(): number {
    return this.#pageCount * this.#pageSizeBytes;
  }

  /** Keeps a page of a committed transaction; `page` must not change before the next `flush`. */
  put(pageNumber: number, page: Uint8Array): void {
    this.#pending.set(pageNumber, page);
  }

  /** The size that the last committed transaction gives the database. */
  setPageCount(pageCount: number): void {
    this.#pageCount = pageCount;
  }

  /** Writes what is pending, in page order. Pages behind the end are left out: a number alone would make a file of terabytes. */
  flush(): void {
    this.#dropBehindEnd();
    const numbers = Uint32Array.from(this.#pending.keys()).sort();
    for (let at = 0; at < numbers.length;) at += this.#writeRun(numbers, at);
    this.#pending.clear();
  }

  /** Writes the pages from `numbers[at]` on that follow each other; returns how many. */
  #writeRun(numbers: Uint32Array, at: number): number {
    const size = this.#pageSizeBytes;
    const first = numbers[at] as number;
    const most = Math.max(1, Math.floor(RUN_BYTES_MAX / size));
    let pages = 1;
    while (pages < most && numbers[at + pages] === first + pages) pages += 1;
    this.#makeRoom(pages * size, most * size);
    for (let i = 0; i < pages; i++) this.#run.set(this.#pending.get(first + i) as Uint8Array, i * size);
    writeFully(this.#fd, this.#run, pages * size, (first - 1) * size);
    this.#writtenPages = Math.max(this.#writtenPages, first - 1 + pages);
    return pages;
  }

  #makeRoom(neededBytes: number, mostBytes: number): void {
    if (this.#run.length >= neededBytes) return;
    this.#run = new Uint8Array(Math.min(mostBytes, 2 * neededBytes));
  }

  /**
   * Gives the file the size of the last commit: what a checkpoint at the end of a log does. Pages behind it are gone,
   * and are zero should the database grow over them again.
   */
  trim(): void {
    this.#dropBehindEnd();
    if (this.#writtenPages > this.#pageCount) {
      ftruncateSync(this.#fd, this.sizeBytes);
      this.#writtenPages = this.#pageCount;
    }
  }

  #dropBehindEnd(): void {
    for (const pageNumber of this.#pending.keys()) {
      if (pageNumber > this.#pageCount) this.#pending.delete(pageNumber);
    }
  }

  /** Writes everything and gives the file its final size. */
  finish(): void {
    this.trim();
    this.flush();
    ftruncateSync(this.#fd, this.sizeBytes);
  }
}
