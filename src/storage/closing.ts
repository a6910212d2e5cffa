/** A store that owns something else beside its connections. */
import { forwardingStore } from './forwarding.ts';
import type { ObjectStore } from './object-store.ts';

/** `store`, which lets go of `other` too when it is closed. */
export function closingStore(store: ObjectStore, other: { close(): Promise<void> }): ObjectStore {
  return forwardingStore(store, {
    async close(): Promise<void> {
      try {
        await store.close();
      } finally {
        await other.close();
      }
    },
  });
}
