/**
 * Where a copy of the database is kept until it has been read: in memory when it is small, otherwise in a file of the
 * state directory, whose name is removed as soon as it is open: so the system frees it when the process ends, however
 * it ends.
 */
import { join } from 'node:path';
import { messageOf, systemCode } from '../base/errors.ts';
import { type Files, readFully } from '../base/files.ts';

export interface CopyStore {
  /** `bytes` must stay as they are until this resolves. @throws CopyFailed, CopyTooLarge */
  write(bytes: Uint8Array, offsetBytes: number): Promise<void>;
  /** Fills `into`; what was never written is zero. */
  read(into: Uint8Array, offsetBytes: number): void;
  /** Frees it. Call once. */
  close(): void;
}

/** The state directory cannot take the copy. */
export class CopyFailed extends Error {
  override readonly name = 'CopyFailed';
  /** What must be free for it; undefined where room is not the reason. */
  readonly neededBytes: number | undefined;

  constructor(why: string, options: { cause?: unknown; neededBytes?: number } = {}) {
    super(why, options.cause === undefined ? undefined : { cause: options.cause });
    this.neededBytes = options.neededBytes;
  }
}

/** More than memory shall hold. */
export class CopyTooLarge extends Error {
  override readonly name = 'CopyTooLarge';
}

/** A file of this name was left by a process that was killed between making it and removing its name. */
const COPY_NAME = /^copy\.tmp-[0-9a-f]{16}$/;
const FILE_MODE = 0o600;

/**
 * Left free for the application and its log, which mostly are on the same disk: that much, or this share of the copy
 * where that is more.
 */
const RESERVE_BYTES = 64 * 1024 * 1024;
const RESERVE_SHARE = 1 / 8;
/** Free space is looked at again after so much has been written: others write too. */
const ROOM_CHECK_BYTES = 64 * 1024 * 1024;
/**
 * Nobody needs the copy after a crash. But what the system collects and then writes in one go makes the application's own
 * syncs on the same disk wait: 500 ms at most in place of 140, measured, for no more time in all.
 */
const FLUSH_BYTES = 32 * 1024 * 1024;

/** Memory that the copies of all databases of a process share. */
export class MemoryBudget {
  #freeBytes: number;

  constructor(bytes: number) {
    this.#freeBytes = bytes;
  }

  /** @returns false, and takes nothing, when that much is not free */
  take(bytes: number): boolean {
    if (bytes > this.#freeBytes) return false;
    this.#freeBytes -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#freeBytes += bytes;
  }
}

export class MemoryCopy implements CopyStore {
  readonly #budget: MemoryBudget;
  readonly #bytes: Uint8Array;

  private constructor(budget: MemoryBudget, bytesMax: number) {
    this.#budget = budget;
    this.#bytes = new Uint8Array(bytesMax);
  }

  /** @returns undefined when the budget does not allow it */
  static open(budget: MemoryBudget, bytesMax: number): MemoryCopy | undefined {
    return budget.take(bytesMax) ? new MemoryCopy(budget, bytesMax) : undefined;
  }

  async write(bytes: Uint8Array, offsetBytes: number): Promise<void> {
    if (offsetBytes + bytes.length > this.#bytes.length) throw new CopyTooLarge();
    this.#bytes.set(bytes, offsetBytes);
  }

  read(into: Uint8Array, offsetBytes: number): void {
    const there = this.#bytes.subarray(offsetBytes, offsetBytes + into.length);
    into.set(there);
    into.fill(0, there.length);
  }

  close(): void {
    this.#budget.giveBack(this.#bytes.length);
  }
}

export interface FileCopyParts {
  readonly files: Files;
  /** The state directory. */
  readonly directory: string;
  /** 16 hexadecimal digits that no other copy has. */
  readonly word: string;
  /** What the copy will take, as far as is known. */
  readonly bytes: number;
}

export class FileCopy implements CopyStore {
  readonly #parts: FileCopyParts;
  readonly #descriptor: number;
  /** Set where the name could not be removed at once. */
  #path: string | undefined;
  #writtenBytes = 0;
  #checkedBytes = 0;
  #flushedBytes = 0;

  /** @throws CopyFailed */
  constructor(parts: FileCopyParts) {
    const { files, directory, word } = parts;
    this.#parts = parts;
    this.#assertRoom();
    const path = join(directory, `copy.tmp-${word}`);
    this.#descriptor = createScratch(files, path);
    this.#path = path;
    this.#removeName();
  }

  /** Not every system can remove the name of a file that is open; then it goes with the file. */
  #removeName(): void {
    if (this.#path === undefined) return;
    try {
      this.#parts.files.remove(this.#path);
      this.#path = undefined;
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
    }
  }

  async write(bytes: Uint8Array, offsetBytes: number): Promise<void> {
    this.#writtenBytes += bytes.length;
    if (this.#writtenBytes - this.#checkedBytes >= ROOM_CHECK_BYTES) this.#assertRoom();
    try {
      await this.#parts.files.writeAside(this.#descriptor, bytes, offsetBytes);
      await this.#flush();
    } catch (error) {
      throw copyFailed(error);
    }
  }

  async #flush(): Promise<void> {
    if (this.#writtenBytes - this.#flushedBytes < FLUSH_BYTES) return;
    this.#flushedBytes = this.#writtenBytes;
    await this.#parts.files.syncAside(this.#descriptor);
  }

  #assertRoom(): void {
    const { files, directory, bytes } = this.#parts;
    this.#checkedBytes = this.#writtenBytes;
    const reserveBytes = Math.max(RESERVE_BYTES, Math.ceil(bytes * RESERVE_SHARE));
    const freeBytes = freeIn(files, directory);
    if (freeBytes >= Math.max(0, bytes - this.#writtenBytes) + reserveBytes) return;
    throw new CopyFailed(`${directory} has ${freeBytes} bytes free`, { neededBytes: bytes + reserveBytes });
  }

  read(into: Uint8Array, offsetBytes: number): void {
    into.fill(0, readFully(this.#parts.files, this.#descriptor, into, offsetBytes));
  }

  close(): void {
    this.#parts.files.close(this.#descriptor);
    this.#removeName();
  }
}

/** What the system refuses is a reason to do without a copy; anything else is a fault. */
function copyFailed(error: unknown): unknown {
  return systemCode(error) === undefined ? error : new CopyFailed(messageOf(error), { cause: error });
}

function createScratch(files: Files, path: string): number {
  try {
    return files.createScratch(path, FILE_MODE);
  } catch (error) {
    throw copyFailed(error);
  }
}

function freeIn(files: Files, directory: string): number {
  try {
    return files.freeBytes(directory);
  } catch (error) {
    // A file system that does not tell refuses when it is full.
    if (systemCode(error) === undefined) throw error;
    return Number.POSITIVE_INFINITY;
  }
}

/** Removes what killed processes have left. Only for the one process that has the directory. */
export function removeLeftCopies(files: Files, directory: string): void {
  try {
    for (const name of files.list(directory)) {
      const path = join(directory, name);
      if (COPY_NAME.test(name) && files.lstat(path)?.kind === 'file') files.remove(path);
    }
  } catch (error) {
    // Nothing depends on it; the next start tries again.
    if (systemCode(error) === undefined) throw error;
  }
}
