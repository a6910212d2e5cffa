/**
 * What time it is where objects get their times. A retention is counted from those, so a clock here that runs ahead by a day
 * would let go of a day that was to be kept.
 */
import type { Clock } from '../base/clock.ts';
import { forwardingStore } from '../storage/forwarding.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** An answer that took longer says too little about when the object got its time. */
const ANSWER_MS_MAX = 5_000;

export class StoreClock {
  readonly #clock: Clock;
  #heard: { readonly storeMs: number; readonly monotonicMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `store`, which tells the time with each write that does not take long. */
  watched(store: ObjectStore): ObjectStore {
    return forwardingStore(store, {
      write: async (key, body, options) => {
        const sentMs = this.#clock.monotonicMs();
        const written = await store.write(key, body, options);
        const monotonicMs = this.#clock.monotonicMs();
        if (monotonicMs - sentMs <= ANSWER_MS_MAX)
          this.#heard = { storeMs: written.modifiedAt.getTime(), monotonicMs };
        return written;
      },
    });
  }

  /**
   * The time by which objects may be called old, in milliseconds since 1970: the earlier of the clock here and that of the
   * store, as far as a write has told it. A clock that stands still while the machine sleeps makes it earlier still.
   */
  get earliestMs(): number {
    return Math.min(this.#clock.now(), this.#storeNowMs() ?? Number.POSITIVE_INFINITY);
  }

  /** The time by which objects may have been called old before; the later of both. */
  get latestMs(): number {
    return Math.max(this.#clock.now(), this.#storeNowMs() ?? Number.NEGATIVE_INFINITY);
  }

  #storeNowMs(): number | undefined {
    if (this.#heard === undefined) return undefined;
    const { storeMs, monotonicMs } = this.#heard;
    return storeMs + this.#clock.monotonicMs() - monotonicMs;
  }
}
