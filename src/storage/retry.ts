/** When a call that failed is made again, and when not: growing waits, within bounds of number and time. */
import { exponentialBackoff } from '../base/backoff.ts';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { RivuletError, isRivuletError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Retrier } from './backend.ts';
import { RetryNotice } from './retry-notice.ts';
import { mayRetry, retryAfterOf } from './storage-error.ts';
import { type TroubleListener, Troubles } from './troubles.ts';

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
  /** The same for a call for which there are no credentials; a person who waits wants to know that soon. */
  readonly keysDeadlineMs: number;
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
  keysDeadlineMs: 120_000,
};

export interface RetryTools {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told at once why a call is tried again, and `undefined` when none is any more. */
  readonly onTrouble?: TroubleListener | undefined;
  /** 0 to 1, for jitter. */
  readonly random?: (() => number) | undefined;
}

/** Tries calls again that failed in a way that may pass. */
export class StorageRetrier implements Retrier {
  readonly #tools: RetryTools;
  readonly #policy: RetryPolicy;
  readonly #notice: RetryNotice;
  readonly #troubles: Troubles;

  constructor(tools: RetryTools, policy: Partial<RetryPolicy> = {}) {
    this.#tools = tools;
    this.#notice = new RetryNotice(tools);
    this.#troubles = new Troubles(tools.clock, tools.onTrouble ?? (() => undefined));
    this.#policy = { ...RETRY_POLICY, ...policy };
  }

  async run<T>(what: string, attempt: (number: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const attempts = this.begin(what, signal);
    for (;;) {
      try {
        signal?.throwIfAborted();
        const result = await attempt(attempts.number);
        attempts.succeeded();
        return result;
      } catch (error) {
        await attempts.failed(error);
      }
    }
  }

  /** Waits for one request whose answer is short, and tells when it stays away for seconds. */
  async whileWaiting<T>(what: string, work: Promise<T>): Promise<T> {
    return this.#notice.whileWaiting(what, work);
  }

  /** The attempts of one call, for a caller that goes on where the last one ended. */
  begin(what: string, signal?: AbortSignal): Attempts {
    const tools = { ...this.#tools, notice: this.#notice, troubles: this.#troubles };
    return new Attempts(what, tools, this.#policy, signal);
  }
}

interface AttemptTools extends RetryTools {
  readonly notice: RetryNotice;
  readonly troubles: Troubles;
}

export class Attempts {
  /** Of the attempt that is next or under way, from 1; begins anew after progress. */
  number = 1;
  readonly #what: string;
  readonly #tools: AttemptTools;
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal | undefined;
  readonly #waits: Backoff;
  readonly #throttledWaits: Backoff;
  #sinceMs: number;

  constructor(what: string, tools: AttemptTools, policy: RetryPolicy, signal: AbortSignal | undefined) {
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
    this.succeeded();
    if (this.number === 1) return;
    this.number = 1;
    this.#waits.reset();
    this.#throttledWaits.reset();
  }

  /** The call has come to its end. */
  succeeded(): void {
    this.#tools.notice.succeeded();
    this.#tools.troubles.over(this);
  }

  /**
   * Waits for the next attempt's time.
   *
   * @throws `error`, with the number of attempts, when another one cannot help or comes too late; the signal's reason,
   *   when that is `CANCELLED` with `error` as its cause
   */
  async failed(error: unknown): Promise<void> {
    try {
      await this.#untilNext(error);
    } catch (last) {
      this.#tools.troubles.over(this);
      throw last;
    }
  }

  async #untilNext(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted();
    if (!mayRetry(error)) throw error;
    const waitMs = this.#waitAfter(error);
    const elapsedMs = this.#tools.clock.monotonicMs() - this.#sinceMs;
    const isLast = this.number >= this.#policy.attemptsMax || elapsedMs + waitMs > this.#deadlineMs(error);
    if (isLast) {
      this.#tools.notice.gaveUp();
      throw withAttempts(error, this.number, elapsedMs);
    }
    this.#tell(error, waitMs, elapsedMs);
    this.number++;
    try {
      await this.#tools.clock.sleep(waitMs, this.#signal);
    } catch (reason) {
      throw givenUp(reason, error);
    }
  }

  #deadlineMs(error: unknown): number {
    const { deadlineMs, keysDeadlineMs } = this.#policy;
    return isRivuletError(error, 'CREDENTIALS_FAILED') ? Math.min(deadlineMs, keysDeadlineMs) : deadlineMs;
  }

  #tell(error: unknown, waitMs: number, elapsedMs: number): void {
    const { logger, notice, troubles } = this.#tools;
    troubles.has(this, error);
    logger.debug('trying again', {
      what: this.#what,
      attempt: this.number,
      waitMs: Math.round(waitMs),
      error: messageOf(error),
    });
    notice.failing({ what: this.#what, error, failingForMs: elapsedMs, retryInMs: waitMs });
  }

  #waitAfter(error: unknown): number {
    const isThrottled = error instanceof RivuletError && error.details['throttled'] === true;
    const ownMs = (isThrottled ? this.#throttledWaits : this.#waits).next();
    return Math.max(ownMs, Math.min(retryAfterOf(error) ?? 0, this.#policy.retryAfterMaxMs));
  }
}

/** Whoever ran out of time wants to know on what. */
function givenUp(reason: unknown, error: unknown): unknown {
  if (!isRivuletError(reason, 'CANCELLED') || reason.cause !== undefined) return reason;
  return new RivuletError('CANCELLED', reason.message, { details: reason.details, cause: error });
}

/** The last error, saying how often it was tried; one attempt needs no mention. */
function withAttempts(error: unknown, attempts: number, elapsedMs: number): unknown {
  if (!(error instanceof RivuletError) || attempts === 1) return error;
  const seconds = Math.max(1, Math.round(elapsedMs / 1000));
  return new RivuletError(error.code, `${error.message} (${attempts} attempts in ${seconds} s)`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: { ...error.details, attempts },
  });
}
