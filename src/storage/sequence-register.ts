/**
 * A register for stores that can only create: a row of numbered objects. The highest number is the value, to create
 * the next one is to swap, and lower ones are removed.
 *
 * The highest number never goes down: what is removed is below one that was seen. So a process that was frozen for long
 * and now creates a number whose successors are there, or were there and are removed, finds a higher one when it
 * looks afterwards, and knows that it was too late. It may never win by the gap that a removal left. And where somebody
 * has removed the whole row by hand and it has begun anew, the number before its own is missing.
 *
 * A listing is not made in one moment. It misses the highest number only if, while it is made, that number is removed
 * again, and that happens only after `KEPT` more swaps.
 */
import { isRivuletError } from '../base/errors.ts';
import type { CallOptions, ObjectInfo, ObjectStore, WrittenObject } from './object-store.ts';
import { type Reading, type Register, REGISTER_BYTES_MAX, registerInvalid } from './register.ts';
import { objectExists } from './storage-error.ts';

/** So many of the newest stay (two at least), for a listing that overlaps with swaps. */
const KEPT = 4;
/** Removing costs a request, so several are removed with one call. */
const REMOVED_AT_ONCE = 4;
/** How often a value that is replaced while it is being read is looked for again. */
const READ_ATTEMPTS = 20;

/** The highest number that can be counted on from; nobody gets there by one swap after the other. */
const NUMBER_MAX = 999_999_999_999_999;
/** Old ones are removed all the time, so a row is short. */
const ROW_LENGTH_MAX = 10_000;
/** How often a number is asked for that seems to be taken by nothing: somebody may create and remove it meanwhile. */
const UNSEEN_MAX = 3;

const NAME = /^(\d{16})\.json$/;

export interface SequenceOptions {
  readonly kept?: number;
  readonly removedAtOnce?: number;
}

/** Whether `number` is the highest, and the one that it followed is still there: it cannot have been replaced unseen. */
function isNextInRow(numbers: readonly number[], number: number): boolean {
  return numbers.at(-1) === number && (number === 1 || numbers.at(-2) === number - 1);
}

export class SequenceRegister implements Register {
  readonly #store: ObjectStore;
  readonly #folder: string;
  readonly #kept: number;
  readonly #removedAtOnce: number;

  /** @param folder - ends in `/` */
  constructor(store: ObjectStore, folder: string, options: SequenceOptions = {}) {
    this.#store = store;
    this.#folder = folder;
    this.#kept = options.kept ?? KEPT;
    this.#removedAtOnce = options.removedAtOnce ?? REMOVED_AT_ONCE;
  }

  async read(options: CallOptions = {}): Promise<Reading | undefined> {
    for (let attempt = 1; ; attempt++) {
      const highest = (await this.#numbers(options)).at(-1);
      if (highest === undefined) return undefined;
      this.#assertUsable(highest);
      try {
        const bounded = { ...options, sizeHintBytes: REGISTER_BYTES_MAX };
        const bytes = await this.#store.readBytes(this.#key(highest.number), bounded);
        return { bytes, version: String(highest.number), storedAtMs: highest.modifiedAt.getTime() };
      } catch (error) {
        // Replaced, and removed as an old one, between the two requests.
        if (!isRivuletError(error, 'STORAGE_NOT_FOUND') || attempt === READ_ATTEMPTS) throw error;
      }
    }
  }

  async swap(seen: Reading | undefined, bytes: Uint8Array, options: CallOptions = {}): Promise<Reading> {
    const number = seen === undefined ? 1 : Number(seen.version) + 1;
    const key = this.#key(number);
    const { modifiedAt } = await this.#create(number, bytes, options);
    const numbers = await this.#numbers(options);
    const present = numbers.map((one) => one.number);
    if (!isNextInRow(present, number)) {
      // One that was overtaken stays until it is old: it is what the higher ones followed.
      if (present.at(-1) === number) await this.#store.remove([key], options);
      throw objectExists(this.#store.location, key);
    }
    await this.#removeOld(numbers, options);
    return { bytes, version: String(number), storedAtMs: modifiedAt.getTime() };
  }

  async honoursConditions(
    present: Reading,
    _gone: Reading | undefined,
    options: CallOptions = {},
  ): Promise<boolean> {
    const number = Number(present.version);
    const key = this.#key(number);
    try {
      const written = await this.#store.write(key, present.bytes, { ...options, onlyIf: 'absent' });
      // Refused at last, after an attempt that failed otherwise.
      if (written.foundWritten === true) return true;
    } catch (error) {
      if (isRivuletError(error, 'STORAGE_EXISTS')) return true;
      throw error;
    }
    const highest = (await this.#numbers(options)).at(-1);
    if (highest === undefined || highest.number <= number) return false;
    // Others have swapped meanwhile, and it was removed as an old one: that it could be created says nothing.
    await this.#store.remove([key], options);
    throw objectExists(this.#store.location, key);
  }

  async clear(options: CallOptions = {}): Promise<void> {
    const numbers = await this.#numbers(options);
    await this.#store.remove(
      numbers.map(({ key }) => key),
      options,
    );
  }

  /** A name that is taken, and not by an object of the row, stays taken for ever: then somebody has to be told. */
  async #create(number: number, bytes: Uint8Array, options: CallOptions): Promise<WrittenObject> {
    const key = this.#key(number);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#store.write(key, bytes, { ...options, onlyIf: 'absent' });
      } catch (error) {
        if (!isRivuletError(error, 'STORAGE_EXISTS')) throw error;
        const highest = (await this.#numbers(options)).at(-1)?.number ?? 0;
        if (highest >= number) throw error;
        if (attempt < UNSEEN_MAX) continue;
        const problem = 'is no object that can be read (a directory, a link that leads nowhere, a pipe?)';
        throw registerInvalid(this.#store.location, key, problem, error);
      }
    }
  }

  #assertUsable({ key, number, sizeBytes }: ObjectInfo & { readonly number: number }): void {
    const { location } = this.#store;
    if (sizeBytes > REGISTER_BYTES_MAX)
      throw registerInvalid(location, key, `has ${sizeBytes} bytes, expected at most ${REGISTER_BYTES_MAX}`);
    if (number > NUMBER_MAX)
      throw registerInvalid(location, key, 'has a number that no row of swaps gets to: none can follow it');
  }

  /** From the lowest to the highest. */
  async #numbers(options: CallOptions): Promise<(ObjectInfo & { readonly number: number })[]> {
    const found = new Map<number, ObjectInfo & { readonly number: number }>();
    for await (const info of this.#store.list(this.#folder, options)) {
      const digits = NAME.exec(info.key.slice(this.#folder.length))?.[1];
      if (digits === undefined) continue;
      const number = Number(digits);
      found.set(number, { ...info, number });
      if (found.size > ROW_LENGTH_MAX) {
        const problem = `holds more than ${ROW_LENGTH_MAX} objects, where a handful is expected`;
        throw registerInvalid(this.#store.location, this.#folder, problem);
      }
    }
    return [...found.values()].sort((a, b) => a.number - b.number);
  }

  async #removeOld(numbers: readonly ObjectInfo[], options: CallOptions): Promise<void> {
    const old = numbers.slice(0, -this.#kept).map(({ key }) => key);
    if (old.length < this.#removedAtOnce) return;
    // What stays is removed with the next ones; the swap has taken place.
    await this.#store.remove(old, options).catch(() => options.signal?.throwIfAborted());
  }

  #key(number: number): string {
    return `${this.#folder}${String(number).padStart(16, '0')}.json`;
  }
}
