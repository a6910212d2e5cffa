/** A store whose objects must be as long as the listing said: one that lies about sizes would spoil restores in ranges. */
import { RivuletError } from '../base/errors.ts';
import { forwardingStore } from '../storage/forwarding.ts';
import type { ObjectStore, ReadOptions } from '../storage/object-store.ts';

/**
 * Only for stores whose listings tell the size of what a read gives; those of encrypted ones do not.
 * Reading an object whose expected size is given throws `REPLICA_INVALID` when it has another one.
 */
export function sizedStore(store: ObjectStore): ObjectStore {
  return forwardingStore(store, {
    read: (key, options) => readSized(store, key, options),
    readBytes: async (key, options = {}) => {
      const bytes = await store.readBytes(key, options);
      checkSize(key, bytes.length, options.sizeHintBytes);
      return bytes;
    },
  });
}

async function* readSized(
  store: ObjectStore,
  key: string,
  options: ReadOptions = {},
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of store.read(key, options)) {
    bytes += chunk.length;
    yield chunk;
  }
  const isWhole = options.offsetBytes === undefined && options.lengthBytes === undefined;
  if (isWhole) checkSize(key, bytes, options.sizeHintBytes);
}

function checkSize(key: string, bytes: number, listedBytes: number | undefined): void {
  if (listedBytes === undefined || bytes === listedBytes) return;
  throw new RivuletError('REPLICA_INVALID', `${key} has ${bytes} bytes, and the listing says ${listedBytes}`);
}
