/**
 * Writes to a descriptor that may block for ever: a pipe, socket or terminal whose reader has stopped reading. A thread of its own
 * makes the write; the main thread waits for it, but not for long.
 *
 * Such a descriptor cannot be made non-blocking: the application of `-exec` inherits the same open file, and would meet `EAGAIN`.
 */
import { writeSync } from 'node:fs';
import { isMainThread, Worker } from 'node:worker_threads';
import { endProcess } from '../base/end-process.ts';
import { type BlockingWriterData, SLOT, STATE } from './blocking-writer-data.ts';

/** What is handed over at once. */
const BUFFER_BYTES = 64 * 1024;
/** A thread starts within this time, or not at all. */
const START_MS = 5_000;
/** A reader that is alive takes a line within this time. A longer wait is the caller's affair. */
const HANDOVER_MS = 250;
/** The thread makes one call again and again. */
const HEAP_MB = 16;

export class BlockingWriter {
  readonly #descriptor: number;
  readonly #numbers = new Int32Array(new SharedArrayBuffer(4 * Object.keys(SLOT).length));
  readonly #bytes = new Uint8Array(new SharedArrayBuffer(BUFFER_BYTES));
  #hasStarted = false;
  #hasFailed = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /**
   * @returns how many bytes are out, or on their way
   * @throws an error with code `EAGAIN` while earlier ones are still on their way; what the write throws, at the latest the next time
   */
  write(bytes: Uint8Array): number {
    if (this.#hasFailed) return writeSync(this.#descriptor, bytes);
    if (this.#isBusy) throw systemError('EAGAIN');
    this.#throwFailure();
    this.#start();
    if (this.#hasFailed) return writeSync(this.#descriptor, bytes);
    const part = bytes.subarray(0, BUFFER_BYTES);
    this.#bytes.set(part);
    Atomics.store(this.#numbers, SLOT.length, part.length);
    Atomics.store(this.#numbers, SLOT.state, STATE.full);
    Atomics.notify(this.#numbers, SLOT.state);
    Atomics.wait(this.#numbers, SLOT.state, STATE.full, HANDOVER_MS);
    if (!this.#isBusy) this.#throwFailure();
    return part.length;
  }

  get #isBusy(): boolean {
    return Atomics.load(this.#numbers, SLOT.state) === STATE.full;
  }

  #throwFailure(): void {
    if (Atomics.exchange(this.#numbers, SLOT.state, STATE.idle) !== STATE.failed) return;
    const length = Atomics.load(this.#numbers, SLOT.length);
    throw systemError(Buffer.from(this.#bytes.slice(0, length)).toString());
  }

  #start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    const file = import.meta.url.endsWith('.ts')
      ? './blocking-writer-worker.ts'
      : './blocking-writer-worker.js';
    const workerData: BlockingWriterData = {
      descriptor: this.#descriptor,
      numbers: this.#numbers,
      bytes: this.#bytes,
    };
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData,
      execArgv: [],
      // Not passed on to ours: making those streams would make the descriptors non-blocking for the application, too.
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 1 },
    });
    worker.on('error', () => this.#failed());
    worker.unref();
    if (Atomics.wait(this.#numbers, SLOT.isReady, 0, START_MS) === 'timed-out') this.#failed();
    // The end of the process would wait for the thread, and with it for the reader.
    if (isMainThread) process.once('exit', (status) => this.#end(status));
  }

  #end(status: number): void {
    Atomics.wait(this.#numbers, SLOT.state, STATE.full, HANDOVER_MS);
    if (this.#isBusy) endProcess(status);
  }

  /** Without the thread lines are written as if they could not block. */
  #failed(): void {
    this.#hasFailed = true;
    Atomics.store(this.#numbers, SLOT.state, STATE.idle);
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
