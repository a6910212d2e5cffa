/**
 * How exact the times of objects are. AWS S3, Azure and SFTP cut them off to whole seconds: what was stored at 12:00:00.9 is listed at
 * 12:00:00. So an object may be as late as the end of its step, and a restore of a moment takes only what was surely there by then.
 */
import type { RestoreTarget } from './restore-target.ts';

const SECOND_MS = 1_000;
/** FAT has steps of two seconds. So many times are all even by chance in one case of 65,536. */
const EVEN_TIMES_MIN = 16;

/** Finds out the steps of a listing whose store does not say them. */
export class TimeStep {
  readonly #knownMs: number | undefined;
  #isWholeSeconds = true;
  #isEven = true;
  #seen = 0;

  /** @param knownMs - undefined when the listing shall show it */
  constructor(knownMs: number | undefined) {
    this.#knownMs = knownMs;
  }

  saw(modifiedAt: Date): void {
    this.#seen += 1;
    const ms = modifiedAt.getTime();
    if (ms % SECOND_MS !== 0) this.#isWholeSeconds = false;
    if (ms % (2 * SECOND_MS) !== 0) this.#isEven = false;
  }

  get ms(): number {
    if (this.#knownMs !== undefined) return this.#knownMs;
    if (this.#seen === 0 || !this.#isWholeSeconds) return 1;
    return this.#isEven && this.#seen >= EVEN_TIMES_MIN ? 2 * SECOND_MS : SECOND_MS;
  }
}

/** The last moment of which an object with this time may be, and the first that surely includes it; in milliseconds since 1970. */
export function lastMomentMs(createdAtMs: number, timeStepMs: number = 1): number {
  return createdAtMs + timeStepMs - 1;
}

/** The same target by the times of a listing: what is listed later than this may have been stored after the moment that was asked for. */
export function byListedTimes(target: RestoreTarget, timeStepMs: number = 1): RestoreTarget {
  const { timestampMs } = target;
  if (timestampMs === undefined || timeStepMs === 1) return target;
  return { ...target, timestampMs: timestampMs - timeStepMs + 1 };
}

/** A moment in steps of this length, for people; undefined where it is exact. */
export function describeStep(timeStepMs: number | undefined): string | undefined {
  if (timeStepMs === undefined || timeStepMs === 1) return undefined;
  return timeStepMs === SECOND_MS
    ? 'the times of this store are whole seconds'
    : `the times of this store have steps of ${timeStepMs / SECOND_MS} seconds`;
}
