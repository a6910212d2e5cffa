/**
 * A *register*: one small value at a store that changes only by compare-and-swap, whoever else tries. The lease is kept
 * in one. How it is stored depends on what the store can do:
 *
 *     compare-and-swap   rivulet-lease.json, replaced only over the version that was read
 *     create-only        rivulet-lease/<16 digits>.json, a row of objects; the highest number is the value, and to
 *                        create the next number is to swap
 */
import { RivuletError } from '../base/errors.ts';
import type { CallOptions } from './object-store.ts';

/** A value is small; what is larger is no value, and is not read. */
export const REGISTER_BYTES_MAX: number = 64 * 1024;

/** What lies where a value should be is not one. @param problem - as in "has more than 9 bytes" */
export function registerInvalid(
  location: string,
  key: string,
  problem: string,
  cause?: unknown,
): RivuletError {
  return new RivuletError('REPLICA_INVALID', `${key} at ${location} cannot be used: it ${problem}`, {
    cause,
    hint: 'If nobody else writes to this replica, remove it; it is made again.',
    details: { key, location },
  });
}

/** A value as it was read or written. */
export interface Reading {
  readonly bytes: Uint8Array;
  /** When it got there, by the store's clock. */
  readonly storedAtMs: number;
  /** Names this very value; only its register understands it. */
  readonly version: string;
}

export interface Register {
  /** The present value, never from a cache; undefined when there is none. */
  read(options?: CallOptions): Promise<Reading | undefined>;

  /**
   * Replaces exactly `seen` (undefined: there was nothing). When the answer is lost, nobody knows whether it was
   * replaced: read again.
   *
   * @throws RivuletError `STORAGE_EXISTS` when the value is another one by now
   */
  swap(seen: Reading | undefined, bytes: Uint8Array, options?: CallOptions): Promise<Reading>;

  /**
   * Tries what the store must refuse, in a way that changes nothing where it does, and writes the very same bytes again
   * where it does not: creates the present value anew, or replaces a version that is gone.
   *
   * @param present - what was written last
   * @param gone - a value before it; undefined when there was none
   * @returns whether each was refused as it must be
   */
  honoursConditions(present: Reading, gone: Reading | undefined, options?: CallOptions): Promise<boolean>;

  /** Removes every trace of the value: only for a store that turned out not to honour conditions. */
  clear(options?: CallOptions): Promise<void>;
}
