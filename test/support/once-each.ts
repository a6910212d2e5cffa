import { forwardingStore } from '../../src/storage/forwarding.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';

/** `store` for the shared suite: a listing that is begun again gives objects again, which no backend does by itself. */
export function onceEach(store: ObjectStore): ObjectStore {
  return forwardingStore(store, {
    async *list(prefix, options) {
      const given = new Set<string>();
      for await (const info of store.list(prefix, options)) {
        if (!given.has(info.key)) yield info;
        given.add(info.key);
      }
    },
  });
}
