/** What keeps a database from being followed: how long to wait, what to say and how often, what the status tells. */
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { type Backoff, exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { systemHint } from '../base/system-hint.ts';
import { type NotedError, noteError } from '../replica/replica-status.ts';

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 15_000;
/** What goes on failing is said again after so long. */
const REMIND_MS = 60 * 60_000;
export const RESTART_HINT = 'This is a fault of Rivulet: restart it, and report this with the log.';

export class FollowFailures {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #backoff: Backoff = exponentialBackoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  #isFailing = false;
  #last: Omit<NotedError, 'isOver'> | undefined;
  /** What was said last. */
  #told: { readonly kind: string; readonly atMs: number } | undefined;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** What went wrong last, also when it is over. */
  get last(): NotedError | undefined {
    return this.#last && { ...this.#last, isOver: !this.#isFailing };
  }

  /** What is wrong now. */
  get present(): NotedError | undefined {
    return this.#isFailing ? this.last : undefined;
  }

  /** @returns how long to wait, in milliseconds */
  failed(error: unknown): number {
    const waitMs = this.#backoff.next();
    const nowMs = this.#clock.now();
    this.#last = { ...noteError(error, nowMs), hint: hintOf(error) };
    this.#tell(error, nowMs, Math.round(waitMs));
    this.#isFailing = true;
    return waitMs;
  }

  /** Once for each kind of failure, and now and then while it goes on; a busy database becomes free by itself. */
  #tell(error: unknown, nowMs: number, retryInMs: number): void {
    const logger = this.#logger;
    const kind = isRivuletError(error) ? error.code : messageOf(error);
    const isKnown = this.#told?.kind === kind && nowMs - this.#told.atMs < REMIND_MS;
    if (isKnown) {
      logger.debug('the database cannot be replicated yet', { error, retryInMs });
      return;
    }
    this.#told = { kind, atMs: nowMs };
    if (isRivuletError(error, 'DB_BUSY')) {
      logger.warn('the database is busy; trying again', { error, retryInMs });
    } else if (isRivuletError(error, 'DB_NOT_FOUND')) {
      logger.warn('the directory of the database does not exist yet; waiting for it', { error });
    } else {
      const usual = 'Look at the file and its permissions; it is tried again by itself.';
      logger.error('the database cannot be replicated at the moment', {
        error,
        retryInMs,
        hint: shortageHint() ?? hintOf(error) ?? usual,
      });
    }
  }

  /** It is not tried again. */
  brokeDown(error: unknown): void {
    this.#isFailing = true;
    this.#last = { ...noteError(error, this.#clock.now()), hint: RESTART_HINT };
    this.#logger.error('the database is not followed any more', { error, hint: RESTART_HINT });
  }

  /** @param isThere - whether there is a database that is followed now */
  succeeded(isThere: boolean): void {
    this.#backoff.reset();
    if (this.#isFailing && isThere) this.#logger.info('the database is replicated again');
    this.#told = undefined;
    this.#isFailing = false;
  }
}

/** SQLite does not say that it could not open a file because there are too many. */
function shortageHint(): string | undefined {
  try {
    closeSync(openSync(devNull, 'r'));
    return undefined;
  } catch (error) {
    return systemHint(error);
  }
}

/** What is no error of ours is one of the system, or a fault. */
function hintOf(error: unknown): string | undefined {
  return isRivuletError(error) ? error.hint : (systemHint(error) ?? RESTART_HINT);
}
