/**
 * Frames of the transaction under way. Its pages may reach the file only when its commit frame came, and it may be
 * larger than memory: then it waits in an overflow file, in the order in which it was written.
 */
import { closeSync, ftruncateSync, readSync } from 'node:fs';
import { type PageFile, writeFully } from './page-file.ts';

/** Overflow file traffic goes in pieces of this size: few system calls, little memory. */
const WRITE_BYTES = 1024 * 1024;
const REPLAY_BYTES = 4 * 1024 * 1024;

export class TransactionStage implements Disposable {
  readonly #openOverflow: () => number;
  readonly #pageSizeBytes: number;
  #numbers: number[] = [];
  #pages: Uint8Array[] = [];
  #spooledNumbers: number[] = [];
  #fd: number | undefined;

  /** @param openOverflow - makes the file, when it is needed */
  constructor(openOverflow: () => number, pageSizeBytes: number) {
    this.#openOverflow = openOverflow;
    this.#pageSizeBytes = pageSizeBytes;
  }

  add(pageNumber: number, page: Uint8Array): void {
    this.#numbers.push(pageNumber);
    this.#pages.push(page);
  }

  /** Moves what memory holds to the overflow file. */
  spill(): void {
    if (this.#numbers.length === 0) return;
    this.#fd ??= this.#openOverflow();
    this.#writeSpool(this.#fd);
    for (const number of this.#numbers) this.#spooledNumbers.push(number);
    this.#numbers = [];
    this.#pages = [];
  }

  /** Appends the pages, some at a time: a copy of them all would double what spilling is to bound. */
  #writeSpool(fd: number): void {
    const size = this.#pageSizeBytes;
    const pagesPerWrite = Math.max(1, Math.floor(WRITE_BYTES / size));
    const block = new Uint8Array(pagesPerWrite * size);
    for (let first = 0; first < this.#pages.length; first += pagesPerWrite) {
      const pages = this.#pages.slice(first, first + pagesPerWrite);
      for (const [i, page] of pages.entries()) block.set(page, i * size);
      writeFully(fd, block, pages.length * size, (this.#spooledNumbers.length + first) * size);
    }
  }

  /** The transaction is complete: hands its pages to `file`, in order. */
  commit(file: PageFile): void {
    if (this.#fd !== undefined && this.#spooledNumbers.length > 0) this.#replay(this.#fd, file);
    for (const [i, number] of this.#numbers.entries()) file.put(number, this.#pages[i] as Uint8Array);
    this.drop();
  }

  /** The transaction will never be complete. */
  drop(): void {
    if (this.#fd !== undefined && this.#spooledNumbers.length > 0) ftruncateSync(this.#fd, 0);
    this.#numbers = [];
    this.#pages = [];
    this.#spooledNumbers = [];
  }

  #replay(fd: number, file: PageFile): void {
    const size = this.#pageSizeBytes;
    const pagesPerRead = Math.max(1, Math.floor(REPLAY_BYTES / size));
    const buffer = new Uint8Array(pagesPerRead * size);
    for (let first = 0; first < this.#spooledNumbers.length; first += pagesPerRead) {
      const numbers = this.#spooledNumbers.slice(first, first + pagesPerRead);
      const bytes = readSync(fd, buffer, 0, numbers.length * size, first * size);
      if (bytes !== numbers.length * size) throw new Error('the overflow file is short');
      for (const [i, number] of numbers.entries())
        file.put(number, buffer.subarray(i * size, (i + 1) * size));
      // The buffer is used again, and a large transaction must not pile up here either.
      file.flush();
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
