/** Tells of one thing that stands still: an error when it begins, a reminder now and then, a line when it is over. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { type StallFacts, type StallWatch, watchStall } from '../replica/stall.ts';
import type { StallTold } from './stall-told.ts';

/** Of what goes on standing still somebody knows already. */
const REMIND_MS = 60 * 60_000;

export class StallAlarm {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #watch: StallWatch | undefined;
  #stalled: { readonly sinceMs: number; remindedAtStillMs: number } | undefined;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Since when it stands still, in milliseconds since 1970; undefined while it does not count as that. */
  get sinceMs(): number | undefined {
    return this.#stalled?.sinceMs;
  }

  /**
   * Looks once.
   *
   * @param tell - what to say, asked only when something is said
   * @returns whether the alarm has begun with this look
   */
  look(facts: StallFacts, limitMs: number, tell: () => StallTold): boolean {
    this.#watch = watchStall(this.#watch, facts);
    const { stillMs } = this.#watch;
    if (stillMs > 0 && stillMs >= limitMs) return this.#stands(stillMs, tell);
    // Once it counts as standing still, only a step forward ends that, not another limit.
    if (this.#stalled !== undefined && stillMs === 0) this.#goesOn(this.#stalled.sinceMs, tell);
    return false;
  }

  #stands(stillMs: number, tell: () => StallTold): boolean {
    const isNew = this.#stalled === undefined;
    this.#stalled ??= {
      // How long something stands still is measured more finely than in whole milliseconds.
      sinceMs: Math.round(this.#clock.now() - stillMs),
      remindedAtStillMs: stillMs,
    };
    if (!isNew && stillMs - this.#stalled.remindedAtStillMs < REMIND_MS) return false;
    this.#stalled.remindedAtStillMs = stillMs;
    const { message, fields } = tell();
    const since = new Date(this.#stalled.sinceMs).toISOString();
    this.#logger.error(message, { since, stillForMs: Math.round(stillMs), ...fields });
    return isNew;
  }

  #goesOn(sinceMs: number, tell: () => StallTold): void {
    this.#stalled = undefined;
    this.#logger.info(tell().over, { stalledForMs: Math.max(0, this.#clock.now() - sinceMs) });
  }
}
