/**
 * Tells of one thing that stands still: an error when it begins, a reminder now and then, a line when it is over.
 *
 * It begins when nothing moves, and is over only when something is done: an upload that gets a little further on a full disk, and
 * breaks off, stores nothing.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { type StallFacts, type StallWatch, watchStall } from '../replica/stall.ts';
import type { StallTold } from './stall-told.ts';

/** Of what goes on standing still somebody knows already. */
const REMIND_MS = 60 * 60_000;

interface Stalled {
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** Both by the time for which nothing was done. */
  readonly beganAtMs: number;
  remindedAtMs: number;
}

function outcomeOf(facts: StallFacts): StallFacts {
  return { ...facts, progress: facts.outcome ?? facts.progress };
}

export class StallAlarm {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #watch: StallWatch | undefined;
  /** The same for what ends a stall. */
  #outcome: StallWatch | undefined;
  #stalled: Stalled | undefined;

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
    this.#outcome = watchStall(this.#outcome, outcomeOf(facts));
    const { stillMs } = this.#watch;
    const undoneMs = this.#outcome.stillMs;
    if (this.#stalled === undefined) {
      if (stillMs === 0 || stillMs < limitMs) return false;
      this.#begins(stillMs, undoneMs, tell);
      return true;
    }
    if (undoneMs === 0) this.#goesOn(this.#stalled.sinceMs, tell);
    else this.#goesOnStanding(this.#stalled, undoneMs, tell);
    return false;
  }

  /** For how long nothing has moved although there is work, as of `facts`. */
  stillMs(facts: StallFacts): number {
    return watchStall(this.#watch, facts).stillMs;
  }

  #begins(stillMs: number, undoneMs: number, tell: () => StallTold): void {
    // How long something stands still is measured more finely than in whole milliseconds.
    const sinceMs = Math.round(this.#clock.now() - stillMs);
    this.#stalled = { sinceMs, beganAtMs: undoneMs - stillMs, remindedAtMs: undoneMs };
    this.#tell(sinceMs, stillMs, tell);
  }

  #goesOnStanding(stalled: Stalled, undoneMs: number, tell: () => StallTold): void {
    if (undoneMs - stalled.remindedAtMs < REMIND_MS) return;
    stalled.remindedAtMs = undoneMs;
    this.#tell(stalled.sinceMs, undoneMs - stalled.beganAtMs, tell);
  }

  #tell(sinceMs: number, stillMs: number, tell: () => StallTold): void {
    const { message, fields } = tell();
    const since = new Date(sinceMs).toISOString();
    this.#logger.error(message, { since, stillForMs: Math.round(stillMs), ...fields });
  }

  #goesOn(sinceMs: number, tell: () => StallTold): void {
    this.#stalled = undefined;
    this.#logger.info(tell().over, { stalledForMs: Math.max(0, this.#clock.now() - sinceMs) });
  }
}
