import { forwardingStore } from './forwarding.ts';
import type { ObjectStore } from './object-store.ts';

/** `store`, said to know no conditional writes: nobody has tried whether its server honours them. */
export function unconditionalStore(store: ObjectStore): ObjectStore {
  return forwardingStore(store, { conditions: 'none' });
}
