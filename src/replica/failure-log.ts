/** Tells of what goes on failing: one line when it begins, one now and then, one when it is over. */
import { type Backoff, exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { type NotedError, noteError } from './replica-status.ts';

export interface FailureSettings {
  /** What fails, as lines begin with it. */
  readonly what: string;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** While it goes on, one line in the log each so often. */
  readonly remindMs: number;
  /** What has failed for so long does not heal by itself: somebody has to act. Infinity where others see to that. */
  readonly actAfterMs: number;
}

/** Shipping. When changes wait too long, that is told as standing still. */
export const SHIPPING: FailureSettings = {
  what: 'the destination',
  retryFirstMs: 250,
  retryMaxMs: 30_000,
  remindMs: 5 * 60_000,
  actAfterMs: Number.POSITIVE_INFINITY,
};

export interface FailureParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: { onFailure(error: unknown): void; onRecovery(): void };
}

/** Times are by the monotonic clock. */
interface Failure {
  readonly sinceMs: number;
  readonly remindedMs: number;
  readonly error: unknown;
}

export class FailureLog {
  readonly #settings: FailureSettings;
  readonly #parts: FailureParts;
  readonly #backoff: Backoff;
  #last: Omit<NotedError, 'isOver'> | undefined;
  #failure: Failure | undefined;

  constructor(settings: FailureSettings, parts: FailureParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#backoff = exponentialBackoff(settings.retryFirstMs, settings.retryMaxMs);
  }

  /** What went wrong last; undefined when nothing is wrong. */
  get message(): string | undefined {
    return this.#failure && messageOf(this.#failure.error);
  }

  /** As it was thrown; undefined when nothing is wrong. */
  get error(): unknown {
    return this.#failure?.error;
  }

  /** What went wrong last, also when it is over. */
  get last(): NotedError | undefined {
    return this.#last && { ...this.#last, isOver: this.#failure === undefined };
  }

  /** Notes a failure and answers how long to wait, in milliseconds. */
  failed(error: unknown): number {
    const { clock, observer } = this.#parts;
    const nowMs = clock.monotonicMs();
    const waitMs = this.#backoff.next();
    observer.onFailure(error);
    this.#last = noteError(error, clock.now());
    const { sinceMs, remindedMs } = this.#failure ?? { sinceMs: nowMs, remindedMs: Number.NEGATIVE_INFINITY };
    const isTold = nowMs - remindedMs < this.#settings.remindMs;
    this.#failure = { sinceMs, remindedMs: isTold ? remindedMs : nowMs, error };
    this.#tell(error, waitMs, nowMs - sinceMs, isTold);
    return waitMs;
  }

  #tell(error: unknown, waitMs: number, failingForMs: number, isTold: boolean): void {
    const { logger } = this.#parts;
    const { what, actAfterMs } = this.#settings;
    const fields = {
      error,
      ...hintOf(error),
      retryInMs: Math.round(waitMs),
      failingForMs: Math.round(failingForMs),
    };
    if (isTold) logger.debug(`${what} failed again`, fields);
    else if (failingForMs >= actAfterMs)
      logger.error(`${what} goes on failing`, { hint: ACT_HINT, ...fields });
    else logger.warn(`${what} failed; trying again`, fields);
  }

  /** How long to wait after a failure that nobody needs to hear of, in milliseconds. */
  postponed(): number {
    return this.#backoff.next();
  }

  recovered(): void {
    this.#backoff.reset();
    if (this.#failure === undefined) return;
    const failedForMs = Math.round(this.#parts.clock.monotonicMs() - this.#failure.sinceMs);
    this.#failure = undefined;
    this.#parts.observer.onRecovery();
    this.#parts.logger.info(`${this.#settings.what} works again`, { failedForMs });
  }
}

const ACT_HINT = 'It does not heal by itself: look at the error, at the permissions, and at the destination.';

/** What to do about it: a host key to pin, for example, stands nowhere else. */
function hintOf(error: unknown): { hint?: string } {
  return isRivuletError(error) && error.hint !== undefined ? { hint: error.hint } : {};
}
