import { writeSync } from 'node:fs';

import { systemCode } from '../base/errors.ts';

/** How long one line may wait for a slow reader of the log before lines are dropped: replication comes first. */
const WAIT_MAX_MS = 1_000;
const WAIT_STEP_MS = 5;

/** The part of `fs.writeSync` that is used, so that tests can own it. */
export type WriteSync = (descriptor: number, bytes: Uint8Array) => number;

/**
 * Writes lines to a file descriptor so that each is out when `write` returns, even if the process ends right after. Never
 * throws: when nobody reads any more, or the disk is full, the log is lost and the work goes on.
 */
export class SyncOutput {
  readonly #descriptor: number;
  readonly #writeSync: WriteSync;
  readonly #waitMaxMs: number;
  /** The rest of a line of which a part is out already; it must come before anything else. */
  #rest: Uint8Array = new Uint8Array();
  #isClosed = false;
  #isStuck = false;

  constructor(descriptor: number, write: WriteSync = writeSync, waitMaxMs: number = WAIT_MAX_MS) {
    this.#descriptor = descriptor;
    this.#writeSync = write;
    this.#waitMaxMs = waitMaxMs;
  }

  /** Writes `line`, which ends with its newline. */
  write(line: string): void {
    if (this.#isClosed || !this.#flush()) return;
    this.#rest = Buffer.from(line);
    const untouched = this.#rest.length;
    const isOut = this.#flush();
    // A line of which nothing is out can be left out; half a line cannot.
    if (!isOut && this.#rest.length === untouched) this.#rest = new Uint8Array();
  }

  /** Writes the rest; false when the reader did not take all of it. */
  #flush(): boolean {
    let waitedMs = this.#isStuck ? this.#waitMaxMs : 0;
    while (this.#rest.length > 0 && !this.#isClosed) {
      if (this.#writeSome()) continue;
      if (waitedMs >= this.#waitMaxMs) {
        this.#isStuck = true;
        return false;
      }
      sleepSync(WAIT_STEP_MS);
      waitedMs += WAIT_STEP_MS;
    }
    this.#isStuck = false;
    return !this.#isClosed;
  }

  /** One write; false when the reader must be waited for. */
  #writeSome(): boolean {
    try {
      this.#rest = this.#rest.subarray(this.#writeSync(this.#descriptor, this.#rest));
      return true;
    } catch (error) {
      const code = systemCode(error);
      if (code === 'EAGAIN') return false;
      if (code === 'EINTR') return true;
      this.#isClosed = code === 'EPIPE' || code === 'EBADF';
      this.#rest = new Uint8Array();
      return true;
    }
  }
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
