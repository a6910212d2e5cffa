/**
 * The end of what is committed in the live log. It moves forward over valid, committed frames only; "same size"
 * or "same time" is never taken for "no change" (SQLite reuses the file after a restart of the log).
 *
 * A commit frame in the file is not a commit yet: a writer publishes it in the index of the log afterwards, and one
 * that is killed in between (a sync can lie there) leaves a transaction that nobody sees and that the next writer
 * overwrites. So the tail never passes what is published.
 */
import { isRivuletError } from '../base/errors.ts';
import type { Position } from '../generations/names.ts';
import { type Chain, frameBytes, scanFrames, startChain, walBytes } from '../wal/frames.ts';
import type { Cursor } from './cursor.ts';
import type { HeaderReading, LiveWal } from './live-wal.ts';

/** Bytes looked at in one step; bounds memory and the time that other work waits. */
const STEP_BYTES = 4 * 1024 * 1024;
const FIRST_READ_BYTES = 64 * 1024;
/** Every step is synchronous and leaves nothing behind in it, so one buffer serves all databases. */
const scratch = { bytes: new Uint8Array(0) };

function scratchOf(length: number): Uint8Array {
  if (scratch.bytes.length < length) scratch.bytes = new Uint8Array(length);
  return scratch.bytes.subarray(0, length);
}

export class LogTail {
  readonly #wal: LiveWal;
  readonly #publishedFrames: () => number;
  readonly index: number;
  readonly headerBytes: Uint8Array;
  #committed: Chain;
  #commitPageCount = 0;

  /** @param publishedFrames - how many frames of the present log are committed for every reader, asked anew each time */
  constructor(wal: LiveWal, index: number, reading: HeaderReading, publishedFrames: () => number) {
    this.#wal = wal;
    this.#publishedFrames = publishedFrames;
    this.index = index;
    this.headerBytes = reading.bytes;
    this.#committed = startChain(reading.header);
  }

  get chain(): Chain {
    return this.#committed;
  }

  get position(): Position {
    return { index: this.index, offsetBytes: this.#committed.offsetBytes };
  }

  get cursor(): Cursor {
    return { index: this.index, chain: this.#committed };
  }

  get pageSizeBytes(): number {
    return this.#committed.header.pageSizeBytes;
  }

  /** Database size in pages at the tail; 0 when no commit has been seen in this log. */
  get commitPageCount(): number {
    return this.#commitPageCount;
  }

  /** Whether the file still begins with this log's header. */
  isSameLog(): boolean {
    const now = this.#wal.header();
    return now !== undefined && Buffer.compare(now.bytes, this.headerBytes) === 0;
  }

  /**
   * Moves over everything committed since. A transaction of any size is looked through in steps, with `pause`
   * between them; memory stays at one step.
   *
   * @returns whether the tail moved
   */
  async advance(pause: () => Promise<void>): Promise<boolean> {
    const before = this.#committed.offsetBytes;
    let chain = this.#committed;
    for (;;) {
      const step = this.#step(chain);
      chain = step.chain;
      if (step.ended) return this.#committed.offsetBytes > before;
      await pause();
    }
  }

  /** The same, but a log whose end cannot be told this moment counts as unchanged: a later look will tell. */
  async advanceIfTold(pause: () => Promise<void>): Promise<boolean> {
    try {
      return await this.advance(pause);
    } catch (error) {
      if (isRivuletError(error, 'DB_BUSY')) return false;
      throw error;
    }
  }

  /**
   * The same in one go, for short stretches under a lock. Answers false when more than `maxBytes` are ahead, or the
   * end cannot be told.
   */
  advanceNow(maxBytes: number): boolean {
    try {
      return this.#advanceNow(maxBytes);
    } catch (error) {
      if (isRivuletError(error, 'DB_BUSY')) return false;
      throw error;
    }
  }

  #advanceNow(maxBytes: number): boolean {
    let chain = this.#committed;
    for (let seen = 0; seen <= maxBytes;) {
      const step = this.#step(chain);
      seen += step.chain.offsetBytes - chain.offsetBytes;
      chain = step.chain;
      if (step.ended) return true;
    }
    return false;
  }

  #step(chain: Chain): { chain: Chain; ended: boolean } {
    // Asked before the file is read: what a restarted log has published by then lies over the old frames.
    const endBytes = Math.min(walBytes(this.#publishedFrames(), this.pageSizeBytes), this.#wal.sizeBytes());
    const ahead = endBytes - chain.offsetBytes;
    const size = frameBytes(this.pageSizeBytes);
    if (ahead < size) return { chain, ended: true };
    const first = scratchOf(Math.min(ahead, Math.max(size, FIRST_READ_BYTES)));
    const scan = this.#scan(chain, first);
    if (scan.ended || ahead <= first.length) return scan;
    const rest = scratchOf(Math.min(endBytes - scan.chain.offsetBytes, Math.max(size, STEP_BYTES)));
    if (rest.length < size) return scan;
    return this.#scan(scan.chain, rest);
  }

  #scan(chain: Chain, into: Uint8Array): { chain: Chain; ended: boolean } {
    const length = this.#wal.read(into, chain.offsetBytes);
    const scan = scanFrames(chain, into, 0, length);
    if (scan.committedBytes > 0) {
      this.#committed = scan.committedChain;
      this.#commitPageCount = scan.commitPageCount;
    }
    return { chain: scan.chain, ended: scan.stop !== 'end' || scan.validBytes === 0 || length < into.length };
  }
}
