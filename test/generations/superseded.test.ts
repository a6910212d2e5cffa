/** What arrived after its writer was superseded does not make its generation the live one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readInventory } from '../../src/generations/inventory.ts';
import { planRestore } from '../../src/generations/plan-restore.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { readEndings, withEndings } from '../../src/generations/superseded.ts';
import { LEASE_KEY } from '../../src/storage/open-register.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { putSuccession } from '../support/succession.ts';

const OLD = '00000000000000aa';
const NEW = '00000000000000bb';
const EMPTY = new Uint8Array(0);

function filled(): MemoryStore {
  const store = new MemoryStore();
  store.put(snapshotKey(OLD, 0), EMPTY, 1_000);
  store.put(segmentKey(OLD, { index: 0, offsetBytes: 0 }), EMPTY, 2_000);
  store.put(snapshotKey(NEW, 0), EMPTY, 4_000);
  // On its way when its writer froze.
  store.put(segmentKey(OLD, { index: 0, offsetBytes: 4152 }), EMPTY, 9_000);
  return store;
}

async function chosen(store: MemoryStore, timestampMs?: number): Promise<string> {
  const inventory = await withEndings(await readInventory(store), store);
  return planRestore(inventory, timestampMs === undefined ? {} : { timestampMs }).generation;
}

describe('superseded generations', () => {
  it('without a lease the newest object decides', async () => {
    assert.equal(await chosen(filled()), OLD);
  });

  for (const [how, atMs, storedAtMs] of [
    ['by the time in the record', 3_000, 8_500],
    ['by the time of the record that did it', undefined, 3_000],
  ] as const) {
    it(`objects of the old one count until it was superseded, ${how}`, async () => {
      const store = filled();
      putSuccession(store, { ended: OLD, written: NEW }, atMs, storedAtMs);
      assert.equal(await chosen(store), NEW);
      assert.equal(await chosen(store, 2_500), OLD, 'as of then');
      assert.equal(await chosen(store, 10_000), NEW);
    });
  }

  it('the latest state is that of the present writer, also where the clock of the store was set back', async () => {
    const store = new MemoryStore();
    store.put(snapshotKey(OLD, 0), EMPTY, 8_000_000);
    store.put(segmentKey(OLD, { index: 0, offsetBytes: 0 }), EMPTY, 8_001_000);
    putSuccession(store, { ended: OLD, written: NEW }, 8_002_000, 1_000);
    assert.equal(await chosen(store), OLD, 'the present one has nothing yet');
    store.put(segmentKey(NEW, { index: 0, offsetBytes: 0 }), EMPTY, 1_500);
    assert.equal(await chosen(store), OLD, 'nor anything to begin with');
    store.put(snapshotKey(NEW, 0), EMPTY, 2_000);
    assert.equal(await chosen(store), NEW);
    assert.equal(await chosen(store, 8_500_000), OLD, 'a moment is a matter of times');
    store.put(snapshotKey('00000000000000cc', 0), EMPTY, 3_000);
    assert.equal(await chosen(store), '00000000000000cc', 'of a program that knows no lease');
  });

  it('when nothing else is left, what there is counts', async () => {
    const store = new MemoryStore();
    store.put(snapshotKey(OLD, 0), EMPTY, 8_000);
    store.put(snapshotKey('00000000000000cc', 0), EMPTY, 8_500);
    putSuccession(store, { ended: OLD, written: NEW }, 3_000, 3_000);
    assert.equal(await chosen(store, 8_200), OLD);
  });

  it('a lease that cannot be understood, or read, says nothing', async () => {
    const store = filled();
    store.put(LEASE_KEY, Buffer.from('no lease'));
    assert.equal((await readEndings(store)).size, 0);
    assert.equal(await chosen(store), OLD);
  });
});
