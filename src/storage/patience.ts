/** How long a destination may stay silent: a connection that nobody closed looks the same as a slow one for hours. */
import type { Clock } from '../base/clock.ts';
import type { RivuletError } from '../base/errors.ts';
import { storageFailed } from './storage-error.ts';

/** What every request may take: connecting, waiting in the service, an answer. */
const ANSWER_MS = 60_000;
/** A connection that is slower than this is as good as none. */
const SLOWEST_BYTES_PER_MS = 16;
/** A streamed body that the destination takes nothing of; parts of it are tried again below for minutes. */
export const UPLOAD_STALL_MS: number = 10 * 60_000;
/** A download of which nothing comes. */
export const DOWNLOAD_STALL_MS: number = 60_000;
/** What a call that was ended may take to clean up, before it is left behind. */
const CLEANUP_GRACE_MS = 5_000;

/** What one attempt with a body of that size may take. @param answerMs - what every request may take */
export function attemptLimitMs(bodyBytes: number, answerMs: number = ANSWER_MS): number {
  return answerMs + bodyBytes / SLOWEST_BYTES_PER_MS;
}

/**
 * Ends work that is overdue.
 *
 * @param what - as in "write a/b to s3://bucket"
 * @param work - is given a signal that aborts when `signal` does, or when the time is over
 * @throws RivuletError `STORAGE_FAILED`, worth another attempt, when the time is over; the signal's reason. `work` that
 *   does not stop by itself is left behind after a moment
 */
export async function withinTime<T>(
  clock: Clock,
  limitMs: number,
  what: string,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const watch = new StallWatch(clock, limitMs, what, signal);
  try {
    return await watch.watched(async () => work(watch.signal));
  } finally {
    watch.end();
  }
}

/** Ends a long call in which nothing moves. Time counts only while the destination is waited for. */
export class StallWatch {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #what: string;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #ended = Promise.withResolvers<never>();
  readonly #grace = new AbortController();
  #timer: AbortController | undefined;

  constructor(clock: Clock, limitMs: number, what: string, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#what = what;
    this.#outer = signal;
    this.#ended.promise.catch(() => undefined);
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** For the call that is watched. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Waits for `work`, but not longer than the limit. */
  async watched<T>(work: () => Promise<T>): Promise<T> {
    this.start();
    try {
      return await this.orEnded(work());
    } finally {
      this.pause();
    }
  }

  /** Waits for `work`, which stops when the watch ends it, or is left behind. Rejects with the reason of that. */
  async orEnded<T>(work: Promise<T>): Promise<T> {
    try {
      return await Promise.race([work, this.#ended.promise]);
    } catch (error) {
      // However `work` puts it: this is why it has ended.
      throw this.signal.aborted ? this.signal.reason : error;
    }
  }

  /** Begins to count, or counts from here on. */
  start(): void {
    this.pause();
    if (this.signal.aborted) return;
    const timer = new AbortController();
    this.#timer = timer;
    void this.#after(this.#limitMs, timer.signal, () => this.#end(this.#stalled()));
  }

  /** Stops counting: the destination is not waited for. */
  pause(): void {
    this.#timer?.abort();
    this.#timer = undefined;
  }

  end(): void {
    this.pause();
    this.#grace.abort();
    this.#outer?.removeEventListener('abort', this.#onAbort);
  }

  #stalled(): RivuletError {
    const seconds = Math.round(this.#limitMs / 1000);
    return storageFailed(`cannot ${this.#what}: nothing has moved for ${seconds} s`, {
      retry: true,
      hint: 'Is the network up, and does a firewall let the connection through?',
    });
  }

  readonly #onAbort = (): void => this.#end(this.#outer?.reason);

  /** Tells the call to stop; one that does not is left behind. */
  #end(reason: unknown): void {
    this.#controller.abort(reason);
    void this.#after(CLEANUP_GRACE_MS, this.#grace.signal, () => this.#ended.reject(reason));
  }

  async #after(ms: number, signal: AbortSignal, act: () => void): Promise<void> {
    try {
      await this.#clock.sleep(ms, signal);
    } catch {
      return;
    }
    act();
  }
}
