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

/** @returns undefined when the store knows no conditional writes */
export function openRegister(store: ObjectStore): Register | undefined {
  if (store.conditions === 'compare-and-swap') return new VersionRegister(store, LEASE_KEY);
  if (store.conditions === 'create-only') return new SequenceRegister(store, LEASE_FOLDER);
  return undefined;
}
