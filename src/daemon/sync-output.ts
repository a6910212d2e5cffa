import { systemCode } from '../base/errors.ts';

/** How long one line may wait for a slow reader of the log before lines are dropped: replication comes first. */
const WAIT_MAX_MS = 1_000;
const WAIT_STEP_MS = 5;

/** The part of `fs.writeSync` that is used. An error with code `EAGAIN` means: not now. */
export type WriteSync = (descriptor: number, bytes: Uint8Array) => number;

export interface SyncOutputOptions {
  readonly write: WriteSync;
  readonly waitMaxMs?: number;
  /** What is said of lost lines as soon as one can be written again, newline included. */
  readonly lostLine?: (lines: number) => string;
}

/**
 * Writes lines to a file descriptor so that each is out when `write` returns, even if the process ends right after. Never
 * throws: when nobody reads, or the disk is full, lines are lost and the work goes on. Once there is a reader, or room, again, the log
 * says how many.
 */
export class SyncOutput {
  readonly #descriptor: number;
  readonly #writeSync: WriteSync;
  readonly #waitMaxMs: number;
  readonly #lostLine: (lines: number) => string;
  /** The rest of what is being written; when a part of it is out already, it must come before anything else. */
  #rest: Uint8Array = new Uint8Array();
  #lostLines = 0;
  /** The last line that is out is not whole. */
  #isTorn = false;
  #isClosed = false;
  #isStuck = false;

  constructor(
    descriptor: number,
    { write, waitMaxMs = WAIT_MAX_MS, lostLine = () => '' }: SyncOutputOptions,
  ) {
    this.#descriptor = descriptor;
    this.#writeSync = write;
    this.#waitMaxMs = waitMaxMs;
    this.#lostLine = lostLine;
  }

  /** Writes `line`, which ends with its newline. */
  write(line: string): void {
    if (this.#isClosed) return;
    const before = this.#send();
    if (before.end === 'failed') this.#isTorn = true;
    if (before.end !== 'out') this.#lostLines += 1;
    if (before.end === 'waiting' || this.#isClosed) return;
    const told = this.#lostLines === 0 ? '' : this.#lostLine(this.#lostLines);
    this.#rest = Buffer.from((this.#isTorn ? '\n' : '') + told + line);
    const { end, sentBytes } = this.#send();
    // A line of which nothing is out can be left out; half a line cannot, and is finished before the next one.
    if (end === 'out' || (end === 'waiting' && sentBytes > 0)) {
      this.#lostLines = 0;
      this.#isTorn = false;
      return;
    }
    this.#rest = new Uint8Array();
    this.#lostLines += 1;
    this.#isTorn ||= sentBytes > 0;
  }

  /** Writes the rest, as far as the reader takes it. Nothing is left of it after a failure. */
  #send(): { end: 'out' | 'waiting' | 'failed'; sentBytes: number } {
    const { length } = this.#rest;
    let waitedMs = this.#isStuck ? this.#waitMaxMs : 0;
    while (this.#rest.length > 0) {
      const sentBytes = length - this.#rest.length;
      const problem = this.#writeSome();
      if (problem === undefined) continue;
      if (problem !== 'EAGAIN') {
        this.#rest = new Uint8Array();
        this.#isClosed = problem === 'EBADF';
        return { end: 'failed', sentBytes };
      }
      if (waitedMs >= this.#waitMaxMs) {
        this.#isStuck = true;
        return { end: 'waiting', sentBytes };
      }
      sleepSync(WAIT_STEP_MS);
      waitedMs += WAIT_STEP_MS;
    }
    if (length > 0) this.#isStuck = false;
    return { end: 'out', sentBytes: length };
  }

  /** One write; the code of what went wrong, if anything. */
  #writeSome(): string | undefined {
    try {
      this.#rest = this.#rest.subarray(this.#writeSync(this.#descriptor, this.#rest));
      return undefined;
    } catch (error) {
      const code = systemCode(error) ?? 'EIO';
      return code === 'EINTR' ? undefined : code;
    }
  }
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
