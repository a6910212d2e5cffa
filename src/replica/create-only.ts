import type { ObjectStore, WriteOptions } from '../storage/object-store.ts';

/** What makes a write refuse to replace an object: history is added to, never changed. Nothing where the store cannot. */
export function createOnly(store: Pick<ObjectStore, 'conditions'>): Pick<WriteOptions, 'onlyIf'> {
  return store.conditions === 'none' ? {} : { onlyIf: 'absent' };
}
