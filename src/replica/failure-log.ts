/** Tells of a failing destination: one line when it begins, one now and then, one when it is over. */
import { type Backoff, exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { type NotedError, noteError } from './replica-status.ts';

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 30_000;
/** While a destination stays away, one line in the log each so often. */
const REMIND_MS = 5 * 60_000;

export interface FailureParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: { onFailure(error: unknown): void; onRecovery(): void };
}

export class FailureLog {
  readonly #parts: FailureParts;
  readonly #backoff: Backoff = exponentialBackoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  #last: Omit<NotedError, 'isOver'> | undefined;
  #failure: { sinceMs: number; remindedMs: number; message: string } | undefined;

  constructor(parts: FailureParts) {
    this.#parts = parts;
  }

  /** What went wrong last; undefined when nothing is wrong. */
  get message(): string | undefined {
    return this.#failure?.message;
  }

  /** What went wrong last, also when it is over. */
  get last(): NotedError | undefined {
    return this.#last && { ...this.#last, isOver: this.#failure === undefined };
  }

  /** Notes a failure and answers how long to wait, in milliseconds. */
  failed(error: unknown): number {
    const { clock, logger, observer } = this.#parts;
    const nowMs = clock.now();
    const waitMs = this.#backoff.next();
    observer.onFailure(error);
    const isFirst = this.#failure === undefined;
    this.#failure ??= { sinceMs: nowMs, remindedMs: nowMs, message: '' };
    this.#failure.message = messageOf(error);
    this.#last = noteError(error, nowMs);
    const isReminder = nowMs - this.#failure.remindedMs >= REMIND_MS;
    if (isReminder) this.#failure.remindedMs = nowMs;
    const fields = {
      error,
      ...hintOf(error),
      retryInMs: Math.round(waitMs),
      failingForMs: nowMs - this.#failure.sinceMs,
    };
    if (isFirst || isReminder) logger.warn('the destination failed; trying again', fields);
    else logger.debug('the destination failed again', fields);
    return waitMs;
  }

  recovered(): void {
    this.#backoff.reset();
    if (this.#failure === undefined) return;
    const failedForMs = this.#parts.clock.now() - this.#failure.sinceMs;
    this.#failure = undefined;
    this.#parts.observer.onRecovery();
    this.#parts.logger.info('the destination works again', { failedForMs });
  }
}

/** What to do about it: a host key to pin, for example, stands nowhere else. */
function hintOf(error: unknown): { hint?: string } {
  return isRivuletError(error) && error.hint !== undefined ? { hint: error.hint } : {};
}
