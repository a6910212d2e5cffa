/**
 * Bounds the work that a file can cause. An alias costs a few bytes and stands for any number of values, so a small file
 * could ask for hours and for all memory.
 */
import type { Place } from './places.ts';

/**
 * So many values may be read for each byte of the file. Ten thousand databases that share a replica with forty keys
 * need one and a half.
 */
const VALUES_PER_BYTE_MAX = 3;
/** What even the smallest file may ask for. */
const VALUES_MAX_AT_LEAST = 100_000;
/** A longer text counts as several values. */
const TEXT_UNITS_PER_VALUE = 100;
/** Sections in sections; the schema needs five. */
const DEPTH_MAX = 20;

export class ReadingBudget {
  #left: number;
  #depth = 0;

  constructor(textUnits: number) {
    this.#left = Math.max(VALUES_MAX_AT_LEAST, VALUES_PER_BYTE_MAX * textUnits);
  }

  /** One value or pair is read. @throws BudgetExceeded */
  spend(place: () => Place, textUnits = 0): void {
    this.#left -= 1 + Math.floor(textUnits / TEXT_UNITS_PER_VALUE);
    if (this.#left < 0) throw new BudgetExceeded(place(), TOO_MANY);
  }

  /** Reads a section within a section. @throws BudgetExceeded when there are too many around it */
  nested<T>(place: () => Place, read: () => T): T {
    if (this.#depth >= DEPTH_MAX) throw new BudgetExceeded(place(), TOO_DEEP);
    this.#depth++;
    try {
      return read();
    } finally {
      this.#depth--;
    }
  }
}

const TOO_MANY =
  'the aliases (`*name`) and merge keys (`<<`) of this file stand for more values than a file of its size may have; write fewer or smaller ones';
const TOO_DEEP = 'sections are nested too deeply; does an alias (`*name`) stand for a section that it is in?';

/** Ends the reading of a file. */
export class BudgetExceeded extends Error {
  readonly place: Place;

  constructor(place: Place, message: string) {
    super(message);
    this.place = place;
  }
}
