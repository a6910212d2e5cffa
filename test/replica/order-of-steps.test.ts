/** What must not happen before something else has, at a destination. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { generationOf, readInventory } from '../../src/generations/inventory.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { findPosition } from '../../src/replica/find-position.ts';
import { uploadSnapshot } from '../../src/replica/upload-snapshot.ts';
import { MemoryStore } from '../support/memory-store.ts';

const GENERATION = '00112233445566aa';

/** A snapshot of one page, in the middle of its log. */
async function upload(store: MemoryStore, beforeLastByte: () => Promise<void>): Promise<void> {
  await uploadSnapshot({
    store,
    generation: GENERATION,
    snapshot: {
      position: { index: 3, offsetBytes: 4152 },
      pageSizeBytes: 512,
      pageCount: 1,
      end: { offsetBytes: 4152, salts: [1, 2], checksum: [3, 4] },
      previousEnd: undefined,
      async *pages() {
        yield new Uint8Array(512);
      },
      close: () => undefined,
    },
    beforeLastByte,
  });
}

describe('at a destination', () => {
  it('a snapshot appears when the log that leads to it is there, not before', async () => {
    const store = new MemoryStore();
    const shipped = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const uploading = upload(store, async () => {
      asked.resolve();
      await shipped.promise;
    });
    await asked.promise;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(store.keys(), []);
    shipped.resolve();
    await uploading;
    assert.deepEqual(store.keys(), [snapshotKey(GENERATION, 3)]);
  });

  it('a snapshot whose log never gets there does not appear', async () => {
    const store = new MemoryStore();
    const lost = async (): Promise<void> => Promise.reject(new Error('the log is lost'));
    await assert.rejects(upload(store, lost), /the log is lost/);
    assert.deepEqual(store.keys(), []);
  });

  it('one that lacks a log, or the start of one, is not continued', async () => {
    const cursor = { index: 9, chain: undefined };
    const primary = {
      resumeAfter: async () => cursor,
      resumeAtStart: async () => cursor,
      resumeAtEnd: async () => cursor,
    } as unknown as Primary;
    const found = async (...places: readonly (readonly [number, number])[]): Promise<boolean> => {
      const store = new MemoryStore();
      store.put(snapshotKey(GENERATION, 1), new Uint8Array(1));
      for (const [index, offsetBytes] of places) {
        store.put(segmentKey(GENERATION, { index, offsetBytes }), encodeFrame(new Uint8Array(1)));
      }
      const held = generationOf(await readInventory(store), GENERATION);
      return (await findPosition({ primary, store, logger: silentLogger }, held)) !== undefined;
    };
    assert.equal(await found([1, 0], [1, 4152], [2, 0]), true);
    assert.equal(await found([1, 0], [3, 0]), false);
    assert.equal(await found([1, 4152], [2, 0]), false);
    assert.equal(await found([1, 0], [2, 4152]), false);
    assert.equal(await found([2, 0]), false);
  });
});
