/**
 * Tells early, and once, that a destination keeps failing: its calls are tried again for minutes before anybody else
 * hears of it.
 */
import type { Clock } from '../base/clock.ts';
import { isRivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';

/** What heals sooner is nothing to tell. */
const NOTICE_AFTER_MS = 8_000;

/** Nobody looks at it; without a reason each abort would make an exception with a stack. */
const ANSWERED = new Error('it was answered');

export interface FailingCall {
  /** As in "write a/b". */
  readonly what: string;
  readonly error: unknown;
  /** Since the first attempt, or since something last came. */
  readonly failingForMs: number;
  readonly retryInMs: number;
}

/** Of one destination. */
export class RetryNotice {
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** By the monotonic clock: when what was told of began. */
  #toldSinceMs: number | undefined;
  #isLeftToOthers = false;
  #lastSuccessMs = Number.NEGATIVE_INFINITY;

  constructor(tools: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = tools.clock;
    this.#logger = tools.logger;
  }

  /** A call is about to wait for its next attempt. While other calls work, it is no outage, and not told. */
  failing({ what, error, failingForMs, retryInMs }: FailingCall): void {
    const sinceMs = this.#clock.monotonicMs() - failingForMs;
    const isEarly = failingForMs + retryInMs < NOTICE_AFTER_MS;
    if (this.#toldSinceMs !== undefined || isEarly || this.#lastSuccessMs > sinceMs) return;
    this.#toldSinceMs = sinceMs;
    const hint = isRivuletError(error) && error.hint !== undefined ? { hint: error.hint } : {};
    const times = { failingForMs: Math.round(failingForMs), retryInMs: Math.round(retryInMs) };
    this.#logger.warn('the destination keeps failing; trying again', {
      what,
      error,
      ...hint,
      ...times,
    });
  }

  /** @param work - one request with a short answer, which takes long on no line that is good for anything */
  async whileWaiting<T>(what: string, work: Promise<T>): Promise<T> {
    const answered = new AbortController();
    this.#clock.sleep(NOTICE_AFTER_MS, answered.signal).then(
      () => this.#silent(what),
      () => undefined,
    );
    try {
      return await work;
    } finally {
      answered.abort(ANSWERED);
    }
  }

  #silent(what: string): void {
    const sinceMs = this.#clock.monotonicMs() - NOTICE_AFTER_MS;
    if (this.#toldSinceMs !== undefined || this.#lastSuccessMs > sinceMs) return;
    this.#toldSinceMs = sinceMs;
    const hint = 'Is the network up, and does a firewall let the connection through?';
    this.#logger.warn('still waiting for an answer', { what, hint, waitedMs: NOTICE_AFTER_MS });
  }

  /** A call has failed for good: whoever made it tells of it, and of the end of it. */
  gaveUp(): void {
    this.#isLeftToOthers = true;
  }

  succeeded(): void {
    this.#lastSuccessMs = this.#clock.monotonicMs();
    if (this.#toldSinceMs !== undefined && !this.#isLeftToOthers) {
      this.#logger.info('the destination works again', {
        failedForMs: Math.round(this.#lastSuccessMs - this.#toldSinceMs),
      });
    }
    this.#toldSinceMs = undefined;
    this.#isLeftToOthers = false;
  }
}
