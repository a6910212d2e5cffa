/** Wrappers: what a store tells of itself is passed on as it is at that moment, and calls reach it whole. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { UploadProgress } from '../../src/replica/upload-progress.ts';
import { Bandwidth, pacedStore } from '../../src/storage/bandwidth.ts';
import { closingStore } from '../../src/storage/closing.ts';
import { encryptedStore } from '../../src/storage/encrypted.ts';
import { forwardingStore } from '../../src/storage/forwarding.ts';
import { limitedStore } from '../../src/storage/limited.ts';
import { meteredStore } from '../../src/storage/metered.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { rangedStore } from '../../src/storage/ranged.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import { retryingStore } from '../../src/storage/retrying.ts';
import { sizedStore } from '../../src/verify/sized-store.ts';
import { ageOf, newKeyPair } from '../support/age-keys.ts';
import { MemoryStore } from '../support/memory-store.ts';

const other = { close: async () => undefined };
const meter = { operation: () => undefined, bytes: () => undefined };
const retrier = new StorageRetrier({ clock: systemClock, logger: silentLogger });
const uploads = new Bandwidth(1_000_000, systemClock);

const WRAPPERS: Readonly<Record<string, (store: ObjectStore) => ObjectStore | Promise<ObjectStore>>> = {
  closing: (store) => closingStore(store, other),
  encrypted: async (store) =>
    encryptedStore(store, await ageOf({ recipients: [(await newKeyPair()).recipient] })),
  limited: (store) => limitedStore(store),
  metered: (store) => meteredStore(store, meter),
  paced: (store) => pacedStore(store, { uploads }),
  ranged: (store) => rangedStore(store),
  retrying: (store) => retryingStore(store, retrier, systemClock),
  sized: (store) => sizedStore(store),
  watched: (store) => new UploadProgress().watched(store, () => true),
};

describe('a wrapper', () => {
  for (const [name, wrap] of Object.entries(WRAPPERS)) {
    it(`${name}: passes on what its store has learned meanwhile`, async () => {
      const store = forwardingStore(new MemoryStore(), {
        get conditions() {
          return known;
        },
        get location() {
          return `memory:${known}`;
        },
      });
      let known: ObjectStore['conditions'] = 'compare-and-swap';
      const wrapped = await wrap(store);
      assert.equal(wrapped.conditions, 'compare-and-swap');
      known = 'none';
      assert.deepEqual([wrapped.conditions, wrapped.location], ['none', 'memory:none']);
      assert.equal(wrapped.type, 'memory');
    });
  }

  it('makes the calls of the store that it does not change, with all that they are given', async () => {
    const memory = new MemoryStore();
    const store = forwardingStore(memory, { readBytes: async () => Buffer.from('other') });
    await store.write('f/a', Buffer.from('abc'), { onlyIf: 'absent' });
    await assert.rejects(store.write('f/a', Buffer.from('x'), { onlyIf: 'absent' }), {
      code: 'STORAGE_EXISTS',
    });
    assert.equal(Buffer.from((await store.readVersioned('f/a')).bytes).toString(), 'abc');
    const part: Uint8Array[] = [];
    for await (const chunk of store.read('f/a', { offsetBytes: 1 })) part.push(chunk);
    assert.equal(Buffer.concat(part).toString(), 'bc');
    assert.deepEqual(await store.readBytes('f/a'), Buffer.from('other'));
    assert.deepEqual(await store.listFolders(''), ['f']);
    await store.remove(['f/a']);
    assert.deepEqual(memory.keys(), []);
  });
});
