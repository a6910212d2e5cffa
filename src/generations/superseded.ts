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

/** What the lease says of generations. */
interface Succession {
  readonly endings: Endings;
  /** What its present holder writes. */
  readonly written: ReadonlySet<Generation>;
}

const NOTHING: Succession = { endings: new Map(), written: new Set() };

/**
 * What the lease at `store` says. No lease, one that cannot be understood, and one that may not be read, say nothing:
 * a restore never fails for it.
 */
async function readSuccession(store: ObjectStore, options: CallOptions): Promise<Succession> {
  const register = openRegister(store);
  if (register === undefined) return NOTHING;
  try {
    const reading = await register.read(options);
    if (reading === undefined) return NOTHING;
    const record = decodeLease(reading.bytes);
    const superseded = settleTimes(record, reading.storedAtMs);
    const endings = new Map(
      superseded.map(({ generation, atMs = reading.storedAtMs }) => [generation, atMs]),
    );
    return { endings, written: new Set(record.generations) };
  } catch (error) {
    if (isRivuletError(error, 'STORAGE_DENIED', 'REPLICA_INVALID', 'STORAGE_NOT_FOUND')) return NOTHING;
    throw error;
  }
}

/** When each generation ended, as the lease at `store` says. @throws as `withEndings` */
export async function readEndings(store: ObjectStore, options: CallOptions = {}): Promise<Endings> {
  return (await readSuccession(store, options)).endings;
}

/**
 * The inventory with what the lease says of endings; only choosing a generation takes notice.
 *
 * @throws RivuletError `STORAGE_FAILED`
 */
export async function withEndings(
  inventory: Inventory,
  store: ObjectStore,
  options: CallOptions = {},
): Promise<Inventory> {
  // With one generation or none there is nothing to choose.
  if (inventory.generations.length < 2) return inventory;
  return { ...inventory, ...(await readSuccession(store, options)) };
}
