import { isRivuletError } from '../base/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/**
 * Whether an object exists, asked by its name: a listing may be behind.
 *
 * @throws RivuletError as the store does
 */
export async function isThere(
  store: Pick<ObjectStore, 'read'>,
  key: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    for await (const _ of store.read(key, { signal })) break;
    return true;
  } catch (error) {
    if (isRivuletError(error, 'STORAGE_NOT_FOUND')) return false;
    if (isRivuletError(error, 'AGE_KEY_MISSING', 'AGE_KEY_WRONG', 'AGE_INVALID')) return true;
    throw error;
  }
}
