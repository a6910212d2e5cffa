import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { CallOptions, ObjectStore, WriteOptions } from './object-store.ts';
import { type Reading, type Register, REGISTER_BYTES_MAX, registerInvalid } from './register.ts';
import { conditionsUnknown } from './storage-error.ts';

/** One object that is replaced only over the version that was read. */
export class VersionRegister implements Register {
  readonly #store: ObjectStore;
  readonly #key: string;

  constructor(store: ObjectStore, key: string) {
    this.#store = store;
    this.#key = key;
  }

  async read(options: CallOptions = {}): Promise<Reading | undefined> {
    try {
      const bounded = { ...options, maxBytes: REGISTER_BYTES_MAX };
      const { bytes, version, modifiedAt } = await this.#store.readVersioned(this.#key, bounded);
      if (version === undefined) throw this.#withoutVersion();
      return { bytes, version, storedAtMs: modifiedAt.getTime() };
    } catch (error) {
      if (isRivuletError(error, 'STORAGE_NOT_FOUND')) return undefined;
      if (!isRivuletError(error, 'REPLICA_INVALID')) throw error;
      const problem = `has more than ${REGISTER_BYTES_MAX} bytes`;
      throw registerInvalid(this.#store.location, this.#key, problem, error);
    }
  }

  async swap(seen: Reading | undefined, bytes: Uint8Array, options: CallOptions = {}): Promise<Reading> {
    const onlyIf = seen === undefined ? 'absent' : { version: seen.version };
    const { version, modifiedAt } = await this.#write(bytes, onlyIf, options);
    if (!this.#isCompared) {
      // Looked at and then written, which keeps nobody out.
      await this.clear(options);
      throw conditionsUnknown(this.#store.location, this.#key);
    }
    if (version !== undefined) return { bytes, version, storedAtMs: modifiedAt.getTime() };
    const present = await this.read(options);
    // Whoever replaced it meanwhile has seen it: the swap took place, and its value is gone already.
    return present !== undefined && Buffer.compare(present.bytes, bytes) === 0
      ? present
      : { bytes, version: '', storedAtMs: modifiedAt.getTime() };
  }

  async honoursConditions(
    present: Reading,
    gone: Reading | undefined,
    options: CallOptions = {},
  ): Promise<boolean> {
    if (!(await this.#refuses(present.bytes, 'absent', options))) return false;
    return gone === undefined || this.#refuses(present.bytes, { version: gone.version }, options);
  }

  async #refuses(
    bytes: Uint8Array,
    onlyIf: NonNullable<WriteOptions['onlyIf']>,
    options: CallOptions,
  ): Promise<boolean> {
    try {
      const { foundWritten } = await this.#write(bytes, onlyIf, options);
      // Refused at last, after an attempt that failed otherwise.
      return foundWritten === true && this.#isCompared;
    } catch (error) {
      // A store that knows no conditions may refuse after a look of its own.
      if (!this.#isCompared) return false;
      if (isRivuletError(error, 'STORAGE_EXISTS')) return true;
      throw error;
    }
  }

  async clear(options: CallOptions = {}): Promise<void> {
    await this.#store.remove([this.#key], options);
  }

  async #write(bytes: Uint8Array, onlyIf: NonNullable<WriteOptions['onlyIf']>, options: CallOptions) {
    return this.#store.write(this.#key, bytes, { ...options, onlyIf });
  }

  /** Whether the store still says that it compares: some find out only when they are asked to. */
  get #isCompared(): boolean {
    return this.#store.conditions === 'compare-and-swap';
  }

  #withoutVersion(): RivuletError {
    const message = `${this.#store.location} tells no version of ${this.#key}`;
    return new RivuletError('STORAGE_FAILED', message, { details: { retry: false } });
  }
}
