/** Which transaction was the last one, when: seen from outside, again and again. */

interface Look {
  /** The number was read after this moment ... */
  readonly beganMs: number;
  /** ... and before this one. */
  readonly endedMs: number;
  readonly seq: number;
}

export class Timeline {
  /** Only looks that found something new. */
  readonly #looks: Look[] = [];
  /** When the last look began that did not find the next transaction yet. */
  readonly #lastWithout: number[] = [];
  #latest: Look | undefined;

  saw(look: Look): void {
    if (this.#latest === undefined || look.seq > this.#latest.seq) {
      this.#looks.push(look);
      this.#lastWithout.push(this.#latest?.beganMs ?? Number.NEGATIVE_INFINITY);
    }
    this.#latest = look;
  }

  get lastSeq(): number {
    return this.#latest?.seq ?? 0;
  }

  /** A moment at which transaction `seq` was certainly not committed yet. */
  notCommittedAtMs(seq: number): number {
    const place = this.#looks.findIndex((look) => look.seq >= seq);
    // Later than all that was seen: the last look did not see it.
    if (place < 0) return this.#latest?.beganMs ?? Number.NEGATIVE_INFINITY;
    return this.#lastWithout[place] ?? Number.NEGATIVE_INFINITY;
  }
}

/** What one destination was seen to hold, when. What it held once may not be lost. */
export class Holdings {
  readonly #seen: { readonly atMs: number; readonly seq: number }[] = [];

  /** @param atMs - when the restore had ended that found transaction `seq` */
  saw(atMs: number, seq: number): void {
    this.#seen.push({ atMs, seq });
  }

  /** The least transaction that a state of the moment must hold. */
  leastAt(timeMs: number): number {
    return this.#seen.reduce((most, { atMs, seq }) => (atMs <= timeMs ? Math.max(most, seq) : most), 0);
  }
}
