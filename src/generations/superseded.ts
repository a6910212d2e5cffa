/**
 * When the generations of former writers ended, as the lease says. A writer that was frozen in the middle of a request
 * may have it arrive after another has taken over. Nothing of it was ever confirmed, and by its time alone it would
 * be the newest object of the replica.
 */
import { isRivuletError } from '../base/errors.ts';
import type { CallOptions, ObjectStore } from '../storage/object-store.ts';
import { openRegister } from '../storage/open-register.ts';
import type { Inventory } from './inventory.ts';
import { decodeLease, type LeaseRecord, type Superseded } from './lease-record.ts';
import type { Generation } from './names.ts';

/** For each generation when it ended, in milliseconds since 1970. */
export type Endings = ReadonlyMap<Generation, number>;

/** The superseded generations of a record with every time filled in. @param storedAtMs - when it was stored */
export function settleTimes(record: LeaseRecord, storedAtMs: number): readonly Superseded[] {
  return record.superseded.map((one) => ({ ...one, atMs: one.atMs ?? storedAtMs }));
}

/**
 * What the lease at `store` says. No lease, one that cannot be understood, and one that may not be read, say nothing:
 * a restore never fails for it.
 *
 * @throws RivuletError `STORAGE_FAILED`
 */
export async function readEndings(store: ObjectStore, options: CallOptions = {}): Promise<Endings> {
  const register = openRegister(store);
  if (register === undefined) return new Map();
  try {
    const reading = await register.read(options);
    if (reading === undefined) return new Map();
    const superseded = settleTimes(decodeLease(reading.bytes), reading.storedAtMs);
    return new Map(superseded.map(({ generation, atMs = reading.storedAtMs }) => [generation, atMs]));
  } catch (error) {
    if (isRivuletError(error, 'STORAGE_DENIED', 'REPLICA_INVALID', 'STORAGE_NOT_FOUND')) return new Map();
    throw error;
  }
}

/** The inventory with what the lease says of endings; only choosing a generation takes notice. */
export async function withEndings(
  inventory: Inventory,
  store: ObjectStore,
  options: CallOptions = {},
): Promise<Inventory> {
  // With one generation or none there is nothing to choose.
  if (inventory.generations.length < 2) return inventory;
  return { ...inventory, endings: await readEndings(store, options) };
}
