/**
 * Where the pages of a chain go. The chain itself is checked by `chain-applier.ts`, which knows nothing of files: a restore
 * writes a database, a proof only wants to know whether the chain holds.
 */
import { PageFile } from './page-file.ts';
import { TransactionStage } from './transaction-stage.ts';

/**
 * Decoded bytes that pages may be held in before they are written, counting whole segments: a page keeps its
 * segment's memory alive. More saves writes of pages that change often, but the processor's caches like less.
 */
const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** Told what the chain holds, in order. Pages must not change afterwards. */
export interface PageSink extends Disposable {
  /** A page of a transaction whose commit is known to come in the same piece. */
  put(pageNumber: number, page: Uint8Array): void;
  /** A page of a transaction whose commit has not been seen yet. */
  stage(pageNumber: number, page: Uint8Array): void;
  /** The transaction of the staged pages is complete: they count, and came before what is put next. */
  commitStaged(): void;
  /** The size that the last committed transaction gives the database; told before the pages that it commits. */
  setPageCount(pageCount: number): void;
  /** A log has ended; a transaction that it did not finish never will be. */
  logEnded(): void;
  /** A piece of so many bytes has been taken, which the pages since the last one lie in. */
  pieceTaken(bytes: number): void;
  /** Nothing follows: frames without a commit are left out. */
  finish(): void;
  readonly sizeBytes: number;
}

/** The database file of a restore. */
export class DatabaseSink implements PageSink {
  readonly #file: PageFile;
  readonly #stage: TransactionStage;
  #heldBytes = 0;

  /** @param output - the file, which holds `pageCount` pages already, and a place for what is too large for memory */
  constructor(output: { fd: number; openOverflow: () => number }, pageSizeBytes: number, pageCount: number) {
    this.#file = new PageFile(output.fd, pageSizeBytes, pageCount);
    this.#stage = new TransactionStage(() => output.openOverflow(), pageSizeBytes);
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  put(pageNumber: number, page: Uint8Array): void {
    this.#file.put(pageNumber, page);
  }

  stage(pageNumber: number, page: Uint8Array): void {
    this.#stage.add(pageNumber, page);
  }

  commitStaged(): void {
    this.#stage.commit(this.#file);
  }

  setPageCount(pageCount: number): void {
    this.#file.setPageCount(pageCount);
  }

  logEnded(): void {
    this.#stage.drop();
    this.#file.trim();
  }

  pieceTaken(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes < HELD_BYTES_MAX) return;
    this.#file.flush();
    this.#stage.spill();
    this.#heldBytes = 0;
  }

  finish(): void {
    this.#stage.drop();
    this.#file.finish();
  }

  [Symbol.dispose](): void {
    this.#stage[Symbol.dispose]();
  }
}

/** Takes no notice of pages, and remembers the size that the database would have. */
export class NoPages implements PageSink {
  readonly #pageSizeBytes: number;
  #pageCount: number;

  constructor(pageSizeBytes: number, pageCount: number) {
    this.#pageSizeBytes = pageSizeBytes;
    this.#pageCount = pageCount;
  }

  get sizeBytes(): number {
    return this.#pageCount * this.#pageSizeBytes;
  }

  put(): void {}

  stage(): void {}

  commitStaged(): void {}

  setPageCount(pageCount: number): void {
    this.#pageCount = pageCount;
  }

  logEnded(): void {}

  pieceTaken(): void {}

  finish(): void {}

  [Symbol.dispose](): void {}
}
