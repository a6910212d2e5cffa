/** The background of a lease that is held: does its upkeep time after time, until it is parked and nothing is written. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { marginOf } from './validity.ts';

export interface Renewing {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly durationMs: number;
  /** Renews or parks the lease, if it is time to; rejects when that failed, to be called again soon. */
  readonly upkeep: (stopped: AbortSignal) => Promise<void>;
  readonly isParked: () => boolean;
}

export class Renewer {
  readonly #renewing: Renewing;
  #writes = 0;
  #wasUsed = false;
  #running: AbortController | undefined;

  constructor(renewing: Renewing) {
    this.#renewing = renewing;
  }

  /** Whether something was written since the last renewal, or is being written. */
  get isActive(): boolean {
    return this.#wasUsed || this.#writes > 0;
  }

  /** The lease is needed: it is renewed next time. */
  used(): void {
    this.#wasUsed = true;
  }

  /** A renewal is sent. */
  renewing(): void {
    this.#wasUsed = false;
  }

  /** A write goes on until the answer is called. */
  beginWrite(): () => void {
    this.#writes++;
    return () => void this.#writes--;
  }

  /** Goes on if it has ended. Makes no request any more once the lease is parked. */
  start(): void {
    if (this.#running !== undefined) return;
    this.#running = new AbortController();
    void this.#run(this.#running.signal);
  }

  /** Aborts a request that is under way. */
  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
  }

  /** Never rejects. */
  async #run(stopped: AbortSignal): Promise<void> {
    const { clock, logger, durationMs, upkeep, isParked } = this.#renewing;
    const stepMs = durationMs / 3;
    let waitMs = stepMs;
    for (;;) {
      await clock.sleep(waitMs, stopped).catch(() => undefined);
      if (stopped.aborted) return;
      try {
        await upkeep(stopped);
        waitMs = stepMs;
      } catch (error) {
        if (stopped.aborted) return;
        // A write finds the lease lapsed and says what is wrong.
        logger.debug('the lease could not be renewed; trying again', { error });
        waitMs = marginOf(durationMs) / 2;
      }
      if (stopped.aborted) return;
      if (isParked() && !this.isActive) return this.stop();
    }
  }
}
