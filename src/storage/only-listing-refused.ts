/** `ObjectStore` that tells keys which are refused altogether from a place that refuses listings alone. */
import { isRivuletError, type RivuletError } from '../base/errors.ts';
import { forwardingStore } from './forwarding.ts';
import { isThere } from './is-there.ts';
import type { CallOptions, ObjectInfo, ObjectStore } from './object-store.ts';
import { storageFailed } from './storage-error.ts';

const HINT =
  'Only listings are refused; objects can be read. Has the service a daily cap on them, or do the keys lack the right to list?';

/**
 * `store`, whose refused listings are `STORAGE_FAILED` where an object may still be asked for. A cap on listings ends by itself and says
 * nothing about the keys.
 *
 * @param knownKey - an object to ask for, whether it is there or not
 */
export function withListingsApart(store: ObjectStore, knownKey: string): ObjectStore {
  const meaning = async (error: unknown, { signal }: CallOptions): Promise<unknown> => {
    if (!isRivuletError(error, 'STORAGE_DENIED')) return error;
    try {
      await isThere(store, knownKey, { signal });
    } catch {
      signal?.throwIfAborted();
      return error;
    }
    return onlyListing(error);
  };
  return forwardingStore(store, {
    async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
      try {
        yield* store.list(prefix, options);
      } catch (error) {
        throw await meaning(error, options);
      }
    },
    async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
      try {
        return await store.listFolders(prefix, options);
      } catch (error) {
        throw await meaning(error, options);
      }
    },
  });
}

function onlyListing(error: RivuletError): RivuletError {
  const { details, message } = error;
  return storageFailed(message, { retry: false, hint: HINT, cause: error, details });
}
