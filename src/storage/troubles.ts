import type { Clock } from '../base/clock.ts';

/**
 * Told why a call is tried again, and `undefined` when none is any more.
 *
 * @param atMs - when it failed, in milliseconds since 1970
 */
export type TroubleListener = (error: unknown, atMs: number) => void;

/** The calls to one destination that are being tried again now, for whoever shows how it is. */
export class Troubles {
  readonly #present = new Map<object, { readonly error: unknown; readonly atMs: number }>();
  readonly #clock: Clock;
  readonly #onTrouble: TroubleListener;

  constructor(clock: Clock, onTrouble: TroubleListener) {
    this.#clock = clock;
    this.#onTrouble = onTrouble;
  }

  has(call: object, error: unknown): void {
    const atMs = this.#clock.now();
    // Behind the others: the newest one is shown.
    this.#present.delete(call);
    this.#present.set(call, { error, atMs });
    this.#onTrouble(error, atMs);
  }

  /** It has succeeded, or somebody else tells of it from now on. */
  over(call: object): void {
    if (!this.#present.delete(call)) return;
    const left = [...this.#present.values()].at(-1);
    this.#onTrouble(left?.error, left?.atMs ?? this.#clock.now());
  }
}
