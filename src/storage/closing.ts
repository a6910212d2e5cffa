/** A store that owns something else beside its connections. */
import type { ObjectStore } from './object-store.ts';

/** `store`, which lets go of `other` too when it is closed. */
export function closingStore(store: ObjectStore, other: { close(): Promise<void> }): ObjectStore {
  return {
    type: store.type,
    location: store.location,
    conditions: store.conditions,
    list: (prefix, options) => store.list(prefix, options),
    listFolders: async (prefix, options) => store.listFolders(prefix, options),
    read: (key, options) => store.read(key, options),
    readBytes: async (key, options) => store.readBytes(key, options),
    readVersioned: async (key, options) => store.readVersioned(key, options),
    write: async (key, body, options) => store.write(key, body, options),
    remove: async (keys, options) => store.remove(keys, options),
    async close(): Promise<void> {
      try {
        await store.close();
      } finally {
        await other.close();
      }
    },
  };
}
