import type { ObjectStore } from './object-store.ts';

/** `store`, said to know no conditional writes: nobody has tried whether its server honours them. */
export function unconditionalStore(store: ObjectStore): ObjectStore {
  return {
    type: store.type,
    location: store.location,
    conditions: 'none',
    list: (prefix, options) => store.list(prefix, options),
    listFolders: async (prefix, options) => store.listFolders(prefix, options),
    read: (key, options) => store.read(key, options),
    readBytes: async (key, options) => store.readBytes(key, options),
    readVersioned: async (key, options) => store.readVersioned(key, options),
    write: async (key, body, options) => store.write(key, body, options),
    remove: async (keys, options) => store.remove(keys, options),
    close: async () => store.close(),
  };
}
