import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readInventory } from '../../src/generations/inventory.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import type { Generation } from '../../src/generations/names.ts';
import { otherWriters } from '../../src/generations/other-writers.ts';
import { MemoryStore } from '../support/memory-store.ts';

const OURS = '1111111111111111' as Generation;
const OTHER = '2222222222222222' as Generation;

async function others(...objects: readonly (readonly [key: string, atMs: number])[]): Promise<string[]> {
  const store = new MemoryStore();
  for (const [key, atMs] of objects) {
    store.nowMs = atMs;
    store.put(key, Buffer.from('x'));
  }
  return otherWriters(await readInventory(store), OURS);
}

test('a generation that was over when ours began is nobody else’s', async () => {
  assert.deepEqual(await others([snapshotKey(OTHER, 0), 1_000], [snapshotKey(OURS, 0), 2_000]), []);
});

test('one that has got something since is', async () => {
  const ours = [snapshotKey(OURS, 0), 2_000] as const;
  const segment = segmentKey(OTHER, { index: 0, offsetBytes: 0 });
  assert.deepEqual(await others([snapshotKey(OTHER, 0), 1_000], ours, [segment, 3_000]), [OTHER]);
  assert.deepEqual(await others(ours, [snapshotKey(OTHER, 0), 3_000]), [OTHER]);
});

test('an empty one, or nothing of ours, says nothing', async () => {
  assert.deepEqual(await others([snapshotKey(OTHER, 0), 3_000]), []);
  assert.deepEqual(await others([snapshotKey(OURS, 0), 2_000]), []);
});
