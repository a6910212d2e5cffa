/** Listings that do not show what is there: some lag behind, some are cached or capped on the way, some are always empty. */
import { isRivuletError, type RivuletError } from '../base/errors.ts';
import { storageFailed } from './storage-error.ts';

/** A listing lacks an object that answers by its name. @param location the store's, without secrets */
export function listingBehind(location: string, key: string): RivuletError {
  return storageFailed(`the listing of ${location} lacks ${key}, which is there: it is behind`, {
    retry: true,
    hint: 'A restore finds only what is listed. Does a cache or a gateway answer in place of the service?',
    details: { unlistedKey: key, location },
  });
}

export function isListingBehind(error: unknown): boolean {
  return isRivuletError(error, 'STORAGE_FAILED') && error.details['unlistedKey'] !== undefined;
}
