/**
 * Ends the process when its main thread cannot do it: it reads the live database and writes the local state by synchronous
 * calls, and on a disk that hangs they do not return. A thread of its own looks whether the main thread still gets its turn.
 */
import { Worker } from 'node:worker_threads';
import type { Logger } from '../base/log.ts';
import type { LoggingSettings } from '../config/settings.ts';
import { SLOT, type WatchdogData } from './watchdog-data.ts';

const BEAT_MS = 500;
/** The thread looks at a few numbers. */
const HEAP_MB = 16;
const LIMIT_MS_MAX = 0x7fffffff;

export class Watchdog implements Disposable {
  readonly #logging: LoggingSettings;
  readonly #logger: Logger;
  readonly #numbers = new Int32Array(new SharedArrayBuffer(4 * Object.keys(SLOT).length));
  #worker: Worker | undefined;
  #beat: NodeJS.Timeout | undefined;

  constructor(logging: LoggingSettings, logger: Logger) {
    this.#logging = logging;
    this.#logger = logger;
  }

  /**
   * From now on the process is killed when its main thread gets no turn for so long. The thread is started when first needed: it
   * takes 10 MB.
   *
   * @param ms - infinity: never
   */
  limitHang(ms: number): void {
    this.#set(SLOT.hangLimitMs, ms);
  }

  /** From now on the process has so long to end, or is killed. */
  limitEnd(ms: number): void {
    this.#set(SLOT.endLimitMs, ms);
  }

  /** The application of `-exec` gets SIGTERM before. */
  endsToo(childPid: number): void {
    Atomics.store(this.#numbers, SLOT.childPid, childPid);
  }

  #set(slot: number, ms: number): void {
    const isLimited = Number.isFinite(ms);
    Atomics.store(this.#numbers, slot, isLimited ? Math.min(LIMIT_MS_MAX, Math.max(1, Math.ceil(ms))) : 0);
    if (isLimited && this.#worker === undefined) this.#start();
  }

  #start(): void {
    const file = import.meta.url.endsWith('.ts') ? './watchdog-worker.ts' : './watchdog-worker.js';
    const workerData: WatchdogData = { numbers: this.#numbers, logging: this.#logging };
    try {
      const worker = new Worker(new URL(file, import.meta.url), {
        workerData,
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 1 },
      });
      worker.on('error', (error) => this.#failed(error));
      worker.unref();
      this.#worker = worker;
    } catch (error) {
      this.#failed(error);
    }
    this.#beat ??= setInterval(() => void Atomics.add(this.#numbers, SLOT.beats, 1), BEAT_MS).unref();
  }

  /** Without it everything works but the end of a process that hangs. */
  #failed(error: unknown): void {
    this.#worker = undefined;
    this.#logger.warn('there is no thread that would end this process when it hangs', { error });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beat);
    void this.#worker?.terminate();
    this.#worker = undefined;
  }
}
