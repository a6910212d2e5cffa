/** Where the register of a replica lies, and which kind its store allows. */
import type { ObjectStore } from './object-store.ts';
import type { Register } from './register.ts';
import { SequenceRegister } from './sequence-register.ts';
import { VersionRegister } from './version-register.ts';

/** The object of a register at a store with compare-and-swap. */
export const LEASE_KEY = 'rivulet-lease.json';
/** The folder of a register at a store that can only create. */
export const LEASE_FOLDER = 'rivulet-lease/';

/** Whether an object belongs to the lease: it is never encrypted, so that whoever stands by can read it. */
export function isLeaseKey(key: string): boolean {
  return key === LEASE_KEY || key.startsWith(LEASE_FOLDER);
}

/**
 * @param folder - the key prefix under which it lies; that of the lease, the replica's root, when absent
 * @returns undefined when the store knows no conditional writes
 */
export function openRegister(store: ObjectStore, folder: string = ''): Register | undefined {
  if (store.conditions === 'compare-and-swap') return new VersionRegister(store, folder + LEASE_KEY);
  if (store.conditions === 'create-only') return new SequenceRegister(store, folder + LEASE_FOLDER);
  return undefined;
}
