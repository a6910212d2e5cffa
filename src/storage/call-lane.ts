/** A number of places, taken in the order of asking. */
import { storageFailed } from './storage-error.ts';

/** Nobody asks for so many at once but by mistake. */
const WAITING_MAX = 10_000;

interface Waiter {
  enter(): void;
}

export class CallLane {
  readonly #places: number;
  #taken = 0;
  readonly #waiting = new Set<Waiter>();

  /** @param places - how many may be inside at once */
  constructor(places: number) {
    if (!Number.isInteger(places) || places < 1) throw new RangeError(`not a number of places: ${places}`);
    this.#places = places;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Takes a place; `leave` must follow.
   *
   * @throws the signal's reason, when it aborts first; RivuletError `STORAGE_FAILED` when too many wait already
   */
  async enter(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#taken < this.#places) {
      this.#taken++;
      return;
    }
    if (this.#waiting.size >= WAITING_MAX)
      throw storageFailed(`${WAITING_MAX} calls wait for the destination already`, { retry: true });
    await this.#turn(signal);
  }

  /** Gives the place to whoever waits longest. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#taken--;
    else next.enter();
  }

  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    await this.enter(signal);
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(waiter);
        reject(signal?.reason as Error);
      };
      const waiter: Waiter = {
        enter: () => {
          this.#waiting.delete(waiter);
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#waiting.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
