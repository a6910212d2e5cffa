/** What all wrappers over a store have in common. */
import type { ObjectStore } from './object-store.ts';

/**
 * `store`, but for what `differences` says. What a store tells of itself is asked for anew each time, of `differences`
 * too where it has getters: a service may turn out to know less than it was said to.
 */
export function forwardingStore(store: ObjectStore, differences: Partial<ObjectStore>): ObjectStore {
  const forwarding: ObjectStore = {
    get type() {
      return store.type;
    },
    get location() {
      return store.location;
    },
    get conditions() {
      return store.conditions;
    },
    get timeStepMs() {
      return store.timeStepMs;
    },
    list: (prefix, options) => store.list(prefix, options),
    listFolders: async (prefix, options) => store.listFolders(prefix, options),
    read: (key, options) => store.read(key, options),
    readBytes: async (key, options) => store.readBytes(key, options),
    readVersioned: async (key, options) => store.readVersioned(key, options),
    write: async (key, body, options) => store.write(key, body, options),
    remove: async (keys, options) => store.remove(keys, options),
    close: async () => store.close(),
  };
  // To spread them would ask each getter once, and keep the answer.
  return Object.defineProperties(forwarding, Object.getOwnPropertyDescriptors(differences));
}
