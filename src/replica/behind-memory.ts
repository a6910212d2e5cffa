/** Keeps the note of `behind-note.ts` up to date: written when a destination is behind for a while, removed when it is not any more. */
import { comparePositions } from '../generations/names.ts';
import {
  type BehindNote,
  type BehindNoteParts,
  readBehindNote,
  removeBehindNote,
  type StoredPlace,
  writeBehindNote,
} from './behind-note.ts';

/** What is shorter nobody misses after a restart, and it would be many writes. */
const NOTED_AFTER_MS = 10_000;
/** How exactly it is noted. */
const PRECISION_MS = 5_000;

export class BehindMemory {
  readonly #parts: BehindNoteParts;
  readonly #location: string;
  #note: BehindNote | undefined;
  /** Where the destination stood when that was last known. */
  #stored: StoredPlace | undefined;

  constructor(parts: BehindNoteParts, location: string) {
    this.#parts = parts;
    this.#location = location;
    this.#note = readBehindNote(parts, location);
  }

  /** What an earlier run has noted, and this one not changed yet. */
  get note(): BehindNote | undefined {
    return this.#note;
  }

  /**
   * @param lagMs - how old the oldest change is that is not stored; 0 when everything is
   * @param stored - where the destination stands; undefined when that is not known at the moment
   * @throws Error as the file system does
   */
  update(lagMs: number, stored: StoredPlace | undefined, nowMs: number): void {
    this.#stored = stored ?? this.#stored;
    if (lagMs < NOTED_AFTER_MS) {
      if (this.#note !== undefined) removeBehindNote(this.#parts);
      this.#note = undefined;
      return;
    }
    // Until the destination is reached, what the run before knew is all that is known.
    const place = this.#stored ?? this.#note?.stored;
    const next = { location: this.#location, stored: place, sinceMs: Math.round(nowMs - lagMs) };
    if (this.#note !== undefined && isSame(this.#note, next)) return;
    writeBehindNote(this.#parts, next);
    this.#note = next;
  }
}

function isSame(a: BehindNote, b: BehindNote): boolean {
  return isSamePlace(a.stored, b.stored) && Math.abs(a.sinceMs - b.sinceMs) < PRECISION_MS;
}

export function isSamePlace(a: StoredPlace | undefined, b: StoredPlace | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.generation === b.generation && comparePositions(a.position, b.position) === 0;
}
