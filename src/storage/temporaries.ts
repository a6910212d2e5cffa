/** Stores that write under a temporary name first: what a killed process was writing stays behind under it. */
import type { CallOptions, ObjectStore } from './object-store.ts';

export interface LeavesTemporaries {
  /**
   * Removes temporary files of ours that nobody works on any more.
   *
   * @param olderThanMs - younger ones may be another process's work under way
   * @returns how many there were
   */
  removeStaleTemporaries(olderThanMs: number, options?: CallOptions): Promise<number>;
}

export function leavesTemporaries(store: ObjectStore): store is ObjectStore & LeavesTemporaries {
  return 'removeStaleTemporaries' in store;
}
