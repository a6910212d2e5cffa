/** The calls to one destination that are being tried again now, for whoever shows how it is. */
export class Troubles {
  readonly #present = new Map<object, unknown>();
  readonly #onTrouble: (error: unknown) => void;

  /** @param onTrouble - told why a call is tried again, and `undefined` when none is any more */
  constructor(onTrouble: (error: unknown) => void) {
    this.#onTrouble = onTrouble;
  }

  has(call: object, error: unknown): void {
    this.#present.set(call, error);
    this.#onTrouble(error);
  }

  /** It has succeeded, or somebody else tells of it from now on. */
  over(call: object): void {
    if (!this.#present.delete(call)) return;
    this.#onTrouble([...this.#present.values()].at(-1));
  }
}
