import { isRivuletError } from '../base/errors.ts';
import type { CallOptions, ObjectStore } from './object-store.ts';

/**
 * Whether there is an object of that name: found out by reading it, since listings may lag behind.
 *
 * @throws RivuletError as `read` does, when it cannot be found out; the signal's reason
 */
export async function isThere(
  store: Pick<ObjectStore, 'read'>,
  key: string,
  { signal }: CallOptions,
): Promise<boolean> {
  try {
    for await (const _ of store.read(key, { signal, lengthBytes: 1 })) break;
    return true;
  } catch (error) {
    if (isRivuletError(error, 'STORAGE_NOT_FOUND')) return false;
    // What cannot be decrypted is there.
    if (isRivuletError(error, 'AGE_KEY_MISSING', 'AGE_KEY_WRONG', 'AGE_INVALID')) return true;
    throw error;
  }
}
