/**
 * Whether a refused object is there at all. S3 answers 403 instead of 404 to keys that may not list the bucket. Ceph does
 * the same where they may list only under a prefix, although that includes the key. The listing tells the two apart.
 */
import { isRivuletError } from '../../base/errors.ts';
import type { CallOptions } from '../object-store.ts';
import { mayRetry } from '../storage-error.ts';
import { listsKey } from './list-objects.ts';
import type { S3Requests } from './requests.ts';

/**
 * @param error - what a request for the object of that key was answered with
 * @returns true when it was refused and a listing lacks it; false when it is there, or nobody may list it
 * @throws RivuletError when the listing fails in a way that may pass; the signal's reason
 */
export async function isListedMissing(
  requests: S3Requests,
  key: string,
  error: unknown,
  options: CallOptions,
): Promise<boolean> {
  if (!isRivuletError(error, 'STORAGE_DENIED') || error.details['status'] !== 403) return false;
  try {
    return !(await listsKey(requests, key, options));
  } catch (unlistable) {
    options.signal?.throwIfAborted();
    if (mayRetry(unlistable)) throw unlistable;
    return false;
  }
}
