/**
 * Listings that end. A service may have as many pages as it likes, by malice or by a mistake: always another mark for the next
 * page, with new names or with none.
 */
import { storageFailed } from './storage-error.ts';

/** Names in one listing: one object a second for four months. */
const NAMES_MAX = 10_000_000;
/**
 * Pages without a name, one after the other. S3 passes over what was deleted in a bucket that keeps versions, and may answer
 * with such pages meanwhile.
 */
const EMPTY_PAGES_MAX = 10_000;

/** Counts the pages of one listing. */
export class ListingLimits {
  readonly #location: string;
  #names = 0;
  #emptyPages = 0;

  /** @param location - the store's, without secrets */
  constructor(location: string) {
    this.#location = location;
  }

  /** @throws RivuletError `STORAGE_FAILED` when there have been too many; trying again does not help */
  page(names: number): void {
    this.#names += names;
    this.#emptyPages = names === 0 ? this.#emptyPages + 1 : 0;
    if (this.#names > NAMES_MAX) throw this.#endless(`more than ${NAMES_MAX} names`);
    if (this.#emptyPages > EMPTY_PAGES_MAX) throw this.#endless(`${EMPTY_PAGES_MAX} pages without a name`);
  }

  #endless(what: string): Error {
    return storageFailed(`a listing of ${this.#location} does not end: ${what} came`, {
      retry: false,
      hint: 'Is this the right place? A path for each database, and a lifecycle rule for old versions, keep listings short.',
    });
  }
}
