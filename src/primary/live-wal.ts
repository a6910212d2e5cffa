/** Reads the write-ahead log of a live database. Opening and closing this file drops no lock. */
import { systemCode } from '../base/errors.ts';
import { type Files, readFully, systemFiles } from '../base/files.ts';
import { unreadable } from './unreadable.ts';
import { parseWalHeader, WAL_HEADER_BYTES, type WalHeader } from '../wal/wal-header.ts';

export interface HeaderReading {
  readonly header: WalHeader;
  readonly bytes: Uint8Array;
}

export class LiveWal {
  readonly path: string;
  readonly #files: Files;
  #descriptor: number | undefined;
  #inode = '';

  constructor(path: string, files: Files = systemFiles) {
    this.path = path;
    this.#files = files;
  }

  /** Size of the file in bytes (old frames past the log's end included); 0 when there is none. */
  sizeBytes(): number {
    return this.#reading((descriptor) => this.#files.statOpen(descriptor).sizeBytes);
  }

  /** Tells the file that is being read from another one under the same path; empty when there is none. @throws as `read` */
  get inode(): string {
    this.#reading(() => 0);
    return this.#descriptor === undefined ? '' : this.#inode;
  }

  /** Whether the path names a file, as it does from the first connection to the last. */
  exists(): boolean {
    return this.#inodeOfPath() !== undefined;
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

  /**
   * Fills `into` from `offsetBytes`; returns how many bytes there were.
   *
   * @throws RivuletError `DB_UNREADABLE` when the system refuses, which says nothing about the log
   */
  read(into: Uint8Array, offsetBytes: number): number {
    return this.#reading((descriptor) => readFully(this.#files, descriptor, into, offsetBytes));
  }

  /** 0 when there is no file. A failure closes it: a descriptor that went stale would fail for ever. */
  #reading(work: (descriptor: number) => number): number {
    try {
      const descriptor = this.#open();
      return descriptor === undefined ? 0 : work(descriptor);
    } catch (error) {
      this.close();
      throw unreadable(this.path, error);
    }
  }

  /** Lets go of the file when the path names another one now (deleted and made anew). */
  refresh(): void {
    if (this.#descriptor === undefined) return;
    if (this.#inodeOfPath() !== this.#inode) this.close();
  }

  close(): void {
    if (this.#descriptor !== undefined) this.#files.close(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number | undefined {
    if (this.#descriptor !== undefined) return this.#descriptor;
    try {
      this.#descriptor = this.#files.open(this.path);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    // When this throws the file is closed again, so that nothing is read from one that cannot be told from others.
    this.#inode = this.#files.statOpen(this.#descriptor).inode;
    return this.#descriptor;
  }

  #inodeOfPath(): string | undefined {
    try {
      return this.#files.stat(this.path)?.inode;
    } catch (error) {
      throw unreadable(this.path, error);
    }
  }
}
