/** Reads the write-ahead log of a live database. Opening and closing this file drops no lock. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { systemCode } from '../base/errors.ts';
import { parseWalHeader, WAL_HEADER_BYTES, type WalHeader } from '../wal/wal-header.ts';

export interface HeaderReading {
  readonly header: WalHeader;
  readonly bytes: Uint8Array;
}

export class LiveWal {
  readonly path: string;
  #descriptor: number | undefined;
  #inode = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Size of the file in bytes (old frames past the log's end included); 0 when there is none. */
  sizeBytes(): number {
    const descriptor = this.#open();
    return descriptor === undefined ? 0 : fstatSync(descriptor).size;
  }

  /** Tells the file that is being read from another one under the same path; 0 before the first reading. */
  get inode(): number {
    return this.#inode;
  }

  /** Whether the path names a file, as it does from the first connection to the last. */
  exists(): boolean {
    return inodeOf(this.path) !== 0;
  }

  /** The present header, or undefined when there is no log, it is empty, or it is being written this moment. */
  header(): HeaderReading | undefined {
    const bytes = new Uint8Array(WAL_HEADER_BYTES);
    if (this.read(bytes, 0) < WAL_HEADER_BYTES) return undefined;
    try {
      return { header: parseWalHeader(bytes), bytes };
    } catch {
      // A header is replaced by one write; a reading that does not check out is taken again later.
      return undefined;
    }
  }

  /** Fills `into` from `offsetBytes`; answers how many bytes there were. */
  read(into: Uint8Array, offsetBytes: number): number {
    const descriptor = this.#open();
    if (descriptor === undefined) return 0;
    let done = 0;
    while (done < into.length) {
      const n = readSync(descriptor, into, done, into.length - done, offsetBytes + done);
      if (n === 0) break;
      done += n;
    }
    return done;
  }

  /** Lets go of the file when the path names another one now (deleted and made anew). */
  refresh(): void {
    if (this.#descriptor === undefined) return;
    if (inodeOf(this.path) !== this.#inode) this.close();
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number | undefined {
    if (this.#descriptor !== undefined) return this.#descriptor;
    try {
      this.#descriptor = openSync(this.path, 'r');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    this.#inode = fstatSync(this.#descriptor).ino;
    return this.#descriptor;
  }
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}
