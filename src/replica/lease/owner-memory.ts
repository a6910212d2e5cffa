/** The note about a lease that outlives the process, kept at hand and written when it changes. */
import type { Generation } from '../../generations/names.ts';
import type { OwnerNote } from './owner-file.ts';

export class OwnerMemory {
  readonly #write: (note: OwnerNote) => void;
  #note: OwnerNote;

  constructor(note: OwnerNote, write: (note: OwnerNote) => void) {
    this.#note = note;
    this.#write = write;
  }

  get note(): OwnerNote {
    return this.#note;
  }

  /** @param generation - what the lease names from now on */
  rememberGeneration(generation: Generation): void {
    if (generation !== this.#note.generation) this.#remember({ generation });
  }

  /** @param tried - the place whose conditional writes were found to work, and when */
  rememberTried(tried: NonNullable<OwnerNote['tried']>): void {
    this.#remember({ tried });
  }

  #remember(change: Partial<OwnerNote>): void {
    this.#note = { ...this.#note, ...change };
    this.#write(this.#note);
  }
}
