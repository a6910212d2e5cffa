/** When a call that failed is made again, and when not: growing waits, within bounds of number and time. */
import { exponentialBackoff } from '../base/backoff.ts';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { RivuletError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Retrier } from './backend.ts';
import { mayRetry, retryAfterOf } from './storage-error.ts';

export interface RetryPolicy {
  /** Attempts in a row without progress, the first one included. */
  readonly attemptsMax: number;
  readonly firstWaitMs: number;
  readonly waitMaxMs: number;
  /** The first wait after the server has asked for fewer requests. */
  readonly throttledFirstWaitMs: number;
  /** A server that asks to stay away for longer is asked again after this. */
  readonly retryAfterMaxMs: number;
  /** No attempt begins later than this after the first, or after the last progress. */
  readonly deadlineMs: number;
}

/**
 * Two minutes bridge what services call a brief disturbance. Whoever ships to a destination tries again without end,
 * and says so in the log: it must learn soon that something is wrong.
 */
export const RETRY_POLICY: RetryPolicy = {
  attemptsMax: 10,
  firstWaitMs: 200,
  waitMaxMs: 20_000,
  throttledFirstWaitMs: 1_000,
  retryAfterMaxMs: 60_000,
  deadlineMs: 120_000,
};

export interface RetryTools {
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 to 1, for jitter. */
  readonly random?: (() => number) | undefined;
}

/** Tries calls again that failed in a way that may pass. */
export class StorageRetrier implements Retrier {
  readonly #tools: RetryTools;
  readonly #policy: RetryPolicy;

  constructor(tools: RetryTools, policy: Partial<RetryPolicy> = {}) {
    this.#tools = tools;
    this.#policy = { ...RETRY_POLICY, ...policy };
  }

  async run<T>(what: string, attempt: (number: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const attempts = this.begin(what, signal);
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await attempt(attempts.number);
      } catch (error) {
        await attempts.failed(error);
      }
    }
  }

  /** The attempts of one call, for a caller that goes on where the last one ended. */
  begin(what: string, signal?: AbortSignal): Attempts {
    return new Attempts(what, this.#tools, this.#policy, signal);
  }
}

export class Attempts {
  /** Of the attempt that is next or under way, from 1; begins anew after progress. */
  number = 1;
  readonly #what: string;
  readonly #tools: RetryTools;
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal | undefined;
  readonly #waits: Backoff;
  readonly #throttledWaits: Backoff;
  #sinceMs: number;

  constructor(what: string, tools: RetryTools, policy: RetryPolicy, signal: AbortSignal | undefined) {
    this.#what = what;
    this.#tools = tools;
    this.#policy = policy;
    this.#signal = signal;
    this.#waits = exponentialBackoff(policy.firstWaitMs, policy.waitMaxMs, tools.random);
    this.#throttledWaits = exponentialBackoff(policy.throttledFirstWaitMs, policy.waitMaxMs, tools.random);
    this.#sinceMs = tools.clock.monotonicMs();
  }

  /** Something came that need not be asked for again: failures are counted, and time is measured, from here on. */
  progressed(): void {
    this.#sinceMs = this.#tools.clock.monotonicMs();
    if (this.number === 1) return;
    this.number = 1;
    this.#waits.reset();
    this.#throttledWaits.reset();
  }

  /**
   * Waits for the next attempt's time.
   *
   * @throws `error`, with the number of attempts, when another one cannot help or comes too late; the signal's reason
   */
  async failed(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted();
    if (!mayRetry(error)) throw error;
    const waitMs = this.#waitAfter(error);
    const elapsedMs = this.#tools.clock.monotonicMs() - this.#sinceMs;
    const isLast = this.number >= this.#policy.attemptsMax || elapsedMs + waitMs > this.#policy.deadlineMs;
    if (isLast) throw withAttempts(error, this.number, elapsedMs);
    this.#tools.logger.debug('trying again', {
      what: this.#what,
      attempt: this.number,
      waitMs: Math.round(waitMs),
      error: messageOf(error),
    });
    this.number++;
    await this.#tools.clock.sleep(waitMs, this.#signal);
  }

  #waitAfter(error: unknown): number {
    const isThrottled = error instanceof RivuletError && error.details['throttled'] === true;
    const ownMs = (isThrottled ? this.#throttledWaits : this.#waits).next();
    return Math.max(ownMs, Math.min(retryAfterOf(error) ?? 0, this.#policy.retryAfterMaxMs));
  }
}

/** The last error, saying how often it was tried; one attempt needs no mention. */
function withAttempts(error: unknown, attempts: number, elapsedMs: number): unknown {
  if (!(error instanceof RivuletError) || attempts === 1) return error;
  const seconds = Math.round(elapsedMs / 1000);
  return new RivuletError(error.code, `${error.message} (${attempts} attempts in ${seconds} s)`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: { ...error.details, attempts },
  });
}
