/** Keys that are refused altogether, and a place that refuses listings alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RivuletError } from '../../src/base/errors.ts';
import { withListingsApart } from '../../src/storage/only-listing-refused.ts';
import { storageFailed } from '../../src/storage/storage-error.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { gather } from './conformance.ts';

function refusing(kinds: readonly string[]): FaultyStore {
  const store = new FaultyStore(new MemoryStore());
  store.fault = ({ kind }) => {
    if (kinds.includes(kind))
      throw storageFailed('cannot list: AccessDenied (403)', { code: 'STORAGE_DENIED', retry: false });
    return undefined;
  };
  return store;
}

async function errorsOf(store: FaultyStore): Promise<RivuletError[]> {
  const apart = withListingsApart(store, 'known');
  const thrown: unknown[] = [];
  await gather(apart.list('')).catch((error: unknown) => thrown.push(error));
  await apart.listFolders('').catch((error: unknown) => thrown.push(error));
  return thrown as RivuletError[];
}

describe('a refused listing', () => {
  it('says nothing about the keys where an object may be asked for', async () => {
    for (const hasObject of [true, false]) {
      const store = refusing(['list', 'listFolders']);
      if (hasObject) await store.write('known', Buffer.from('x'));
      const errors = await errorsOf(store);
      assert.deepEqual(
        errors.map(({ code, message }) => [code, message]),
        Array.from({ length: 2 }, () => ['STORAGE_FAILED', 'cannot list: AccessDenied (403)']),
      );
      assert.match(errors[0]?.hint ?? '', /^Only listings are refused/);
    }
  });

  it('is what it is where objects are refused as well', async () => {
    const errors = await errorsOf(refusing(['list', 'listFolders', 'read']));
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['STORAGE_DENIED', 'STORAGE_DENIED'],
    );
  });
});
