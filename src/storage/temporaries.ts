/** Stores that write under a temporary name first: what a killed process was writing stays behind under it. */
import type { CallOptions, ObjectStore } from './object-store.ts';

export interface LeavesTemporaries {
  /**
   * Removes temporary files of ours that nobody works on any more.
   *
   * @param isOurs - whether the object of that key is one that we write: a destination may hold files of others
   * @param olderThanMs - younger ones may be another process's work under way
   * @returns how many there were
   */
  removeStaleTemporaries(
    olderThanMs: number,
    isOurs: (key: string) => boolean,
    options?: CallOptions,
  ): Promise<number>;
}

export function leavesTemporaries(store: ObjectStore): store is ObjectStore & LeavesTemporaries {
  return 'removeStaleTemporaries' in store;
}
