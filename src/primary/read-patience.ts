/**
 * How long a read failure of a replaceable file is waited out. The write-ahead log and the database cannot be replaced by
 * anything, so nothing is concluded from not being able to read them. A spooled piece can: a fresh snapshot takes its
 * place, and without a bound a bad sector under it would keep its destination waiting for ever.
 */
import type { Clock } from '../base/clock.ts';
import { messageOf, RivuletError } from '../base/errors.ts';
import { isReadFailure } from '../base/read-failure.ts';

/** Longer than a disk or a network file system takes to recover by itself. */
const PATIENCE_MS = 5 * 60_000;
/** A machine that slept has not tried. */
const ATTEMPTS_MIN = 10;

interface Failing {
  readonly sinceMs: number;
  readonly attempts: number;
}

export class ReadPatience {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #failing = new Map<string, Failing>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /**
   * @param what - tells one thing that is read from another
   * @throws what `read` throws; `WAL_INVALID` in the place of a read failure that has lasted too long
   */
  attempt<T>(what: string, read: () => T): T {
    try {
      const result = read();
      this.#failing.delete(what);
      return result;
    } catch (error) {
      if (!isReadFailure(error)) throw error;
      throw this.#failed(what) ? lost(error) : error;
    }
  }

  /** Whether it has failed for too long. */
  #failed(what: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#failing.get(what) ?? { sinceMs: nowMs, attempts: 0 };
    const attempts = before.attempts + 1;
    const isOver = attempts >= ATTEMPTS_MIN && nowMs - before.sinceMs >= PATIENCE_MS;
    if (isOver) this.#failing.delete(what);
    else this.#failing.set(what, { sinceMs: before.sinceMs, attempts });
    return isOver;
  }
}

function lost(error: unknown): RivuletError {
  const minutes = PATIENCE_MS / 60_000;
  return new RivuletError('WAL_INVALID', `${messageOf(error)}; given up after ${minutes} minutes`);
}
