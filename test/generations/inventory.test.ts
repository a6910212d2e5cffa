import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasLost, isSameListing, readInventory } from '../../src/generations/inventory.ts';
import { endKey } from '../../src/generations/ends.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import type { ObjectInfo } from '../../src/storage/object-store.ts';
import { MemoryStore } from '../support/memory-store.ts';

const A = '00000000000000aa';
const B = '00000000000000bb';

describe('inventory', () => {
  it('sorts what the store lists in any order', async () => {
    const store = new MemoryStore();
    const positions = [
      { index: 0, offsetBytes: 0 },
      { index: 0, offsetBytes: 4152 },
      { index: 0, offsetBytes: 0x1_0000_0000 },
      { index: 9, offsetBytes: 0 },
      { index: 10, offsetBytes: 0 },
    ];
    for (const [i, position] of positions.entries())
      store.put(segmentKey(B, position), Buffer.alloc(i), 1000 + i);
    store.put(snapshotKey(B, 10), Buffer.alloc(7), 2000);
    store.put(snapshotKey(B, 0), Buffer.alloc(7), 500);
    store.put(endKey(B, { index: 10, offsetBytes: 32 }), Buffer.alloc(1), 9000);
    store.put(snapshotKey(A, 0), Buffer.alloc(3), 700);
    const { generations, strangers } = await readInventory(store);
    assert.deepEqual(
      generations.map(({ generation, startedAt, updatedAt }) => ({ generation, startedAt, updatedAt })),
      [
        { generation: B, startedAt: 500, updatedAt: 2000 },
        { generation: A, startedAt: 700, updatedAt: 700 },
      ],
    );
    assert.deepEqual(
      generations[0]?.segments.map(({ index, offsetBytes, sizeBytes }) => [index, offsetBytes, sizeBytes]),
      positions.map(({ index, offsetBytes }, i) => [index, offsetBytes, i]),
    );
    assert.deepEqual(
      generations[0]?.snapshots.map(({ index }) => index),
      [0, 10],
    );
    assert.deepEqual(strangers, []);
    const one = await readInventory(store, { generation: A });
    assert.deepEqual(
      one.generations.map(({ generation }) => generation),
      [A],
    );
  });

  it('counts an object once that a listing gives again, as it was given last', async () => {
    const listing = async function* (): AsyncGenerator<ObjectInfo> {
      for (const [key, sizeBytes] of [
        [snapshotKey(A, 0), 1],
        [segmentKey(A, { index: 0, offsetBytes: 0 }), 2],
        [segmentKey(A, { index: 0, offsetBytes: 4152 }), 3],
        [snapshotKey(A, 0), 4],
        [segmentKey(A, { index: 0, offsetBytes: 0 }), 5],
        [segmentKey(A, { index: 0, offsetBytes: 4152 }), 6],
        [segmentKey(A, { index: 1, offsetBytes: 0 }), 7],
      ] as const)
        yield { key, sizeBytes, modifiedAt: new Date(1000) };
    };
    const { generations } = await readInventory({ list: listing });
    assert.deepEqual(
      generations.map(({ snapshots, segments }) => [
        snapshots.map((one) => [one.key, one.sizeBytes]),
        segments.map((one) => [one.key, one.sizeBytes]),
      ]),
      [
        [
          [[snapshotKey(A, 0), 4]],
          [
            [segmentKey(A, { index: 0, offsetBytes: 0 }), 5],
            [segmentKey(A, { index: 0, offsetBytes: 4152 }), 6],
            [segmentKey(A, { index: 1, offsetBytes: 0 }), 7],
          ],
        ],
      ],
    );
  });

  it('tells whether two listings are the same, and whether one has lost something', async () => {
    const store = new MemoryStore();
    const keys = [
      snapshotKey(A, 0),
      segmentKey(A, { index: 0, offsetBytes: 0 }),
      segmentKey(A, { index: 0, offsetBytes: 4152 }),
      endKey(A, { index: 0, offsetBytes: 8272 }),
      snapshotKey(B, 0),
    ];
    for (const key of keys) store.put(key, Buffer.from('x'), 1000);
    const all = await readInventory(store);
    assert.ok(isSameListing(all, await readInventory(store)));
    assert.equal(hasLost(all, all), false);
    for (const key of keys) {
      await store.remove([key]);
      const less = await readInventory(store);
      assert.equal(isSameListing(all, less), false, key);
      // A promise is no data.
      assert.equal(hasLost(all, less), !key.includes('/ends/'), key);
      assert.equal(hasLost(less, all), false, key);
      store.put(key, Buffer.from('xy'), 1000);
      assert.equal(isSameListing(all, await readInventory(store)), false, key);
      store.put(key, Buffer.from('x'), 1001);
      assert.equal(isSameListing(all, await readInventory(store)), false, key);
      store.put(key, Buffer.from('x'), 1000);
    }
  });

  it('remembers a thousand names that mean nothing, however many there are', async () => {
    const listing = async function* (): AsyncGenerator<ObjectInfo> {
      for (let i = 0; i < 5000; i++)
        yield { key: `generations/x${i}`, sizeBytes: 1, modifiedAt: new Date(0) };
    };
    assert.equal((await readInventory({ list: listing })).strangers.length, 1000);
  });

  it('sets garbage aside, whatever it is called', async () => {
    const garbage = [
      'generations/README',
      'generations/xyz/wal/00000000_00000000.wal.lz4',
      `generations/${A.toUpperCase()}/snapshots/00000000.snapshot.lz4`,
      `generations/${A}/notes.txt`,
      `generations/${A}/wal/00000000.wal.lz4`,
      `generations/${A}/wal/00000000_00000000.wal.lz4.tmp`,
      `generations/${A}/wal/00000000_0000000000000000.wal.lz4`,
      `generations/${A}/wal/00000000_ffffffffffffffff.wal.lz4`,
      `generations/${A}/wal/80000000_00000000.wal.lz4`,
      `generations/${A}/wal/deeper/00000000_00000000.wal.lz4`,
      `generations/${A}/snapshots/0000000G.snapshot.lz4`,
      `generations/${A}/snapshots/ffffffff.snapshot.lz4`,
      `generations/${A}/ends/later`,
      `generations/${A}//wal`,
      `generations/${B}/`,
    ];
    const store = new MemoryStore();
    for (const key of garbage) store.put(key, Buffer.from('x'));
    assert.deepEqual((await readInventory(store)).generations, []);
    store.put(snapshotKey(A, 0), Buffer.alloc(3), 700);
    const { generations, strangers } = await readInventory(store);
    assert.equal(generations.length, 1);
    assert.deepEqual(strangers, [...garbage].sort());
  });

  it('lets a listing that fails fail', async () => {
    const broken = {
      // oxlint-disable-next-line require-yield
      list: async function* (): AsyncGenerator<never> {
        throw new Error('no answer');
      },
    };
    await assert.rejects(readInventory(broken), /no answer/);
  });
});
