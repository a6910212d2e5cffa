import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { isRivuletError } from '../../src/base/errors.ts';
import type { Age } from '../../src/codec/age/age.ts';
import { restore } from '../../src/restore/restore.ts';
import { encryptedStore } from '../../src/storage/encrypted.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { ageOf, newKeyPair } from '../support/age-keys.ts';
import { fillSmallReplica, lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';

/** The same objects with the same times, encrypted. */
async function sealed(plain: MemoryStore, age: Age): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const [key, { bytes, timeMs }] of plain.objects) store.put(key, await age.encryptBytes(bytes), timeMs);
  return store;
}

async function restored(store: ObjectStore): Promise<Buffer> {
  using scratch = new Scratch();
  const outputPath = scratch.file('out');
  try {
    await restore({ store, target: {}, outputPath });
    return readFileSync(outputPath);
  } catch (error) {
    assert.deepEqual(scratch.names(), [], 'something was left behind');
    throw error;
  }
}

describe('restore of an encrypted replica', () => {
  let age: Age;
  let blind: Age;
  let other: Age;

  before(async () => {
    const [mine, theirs] = [await newKeyPair(), await newKeyPair()];
    age = await ageOf({ recipients: [mine.recipient], identities: [mine.identity] });
    blind = await ageOf({ recipients: [mine.recipient] });
    other = await ageOf({ identities: [theirs.identity] });
  });

  it('is exact, and says which key it lacks', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const store = await sealed(maker.store, age);
    assert.ok((await restored(encryptedStore(store, age))).equals(lastPoint(maker).database));
    const named = /^generations\/.*\/snapshots\/0000000.\.snapshot\.lz4: the object is encrypted/;
    await assert.rejects(restored(store), { code: 'AGE_KEY_MISSING', message: named });
    await assert.rejects(restored(encryptedStore(store, blind)), { code: 'AGE_KEY_MISSING', message: named });
    await assert.rejects(restored(encryptedStore(store, other)), { code: 'AGE_KEY_WRONG', message: named });
  });

  it('every object that is cut off, changed or of another key: the exact database, or an error', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const good = await sealed(maker.store, age);
    const exact = lastPoint(maker).database;
    const outcomes = new Set<string>();
    for (const key of good.keys()) {
      const bytes = good.bytesOf(key);
      const changed = Uint8Array.from(bytes);
      changed[bytes.length - 1]! ^= 0x80;
      for (const bad of [
        bytes.subarray(0, bytes.length - 1),
        bytes.subarray(0, 30),
        bytes.subarray(0, 21),
        bytes.subarray(0, 5),
        changed,
        new Uint8Array(0),
      ]) {
        const store = new MemoryStore();
        for (const [other_, held] of good.objects) store.put(other_, held.bytes, held.timeMs);
        store.put(key, bad, good.objects.get(key)?.timeMs);
        try {
          assert.ok((await restored(encryptedStore(store, age))).equals(exact), `${key}: another database`);
          outcomes.add('exact');
        } catch (error) {
          assert.ok(isRivuletError(error, 'CHAIN_BROKEN', 'REPLICA_INVALID'), `${key}: ${String(error)}`);
          outcomes.add(error.code);
        }
      }
    }
    assert.ok(outcomes.has('CHAIN_BROKEN'));
  });

  it('objects in the clear beside encrypted ones are read', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    const store = await sealed(maker.store, age);
    const [first] = maker.store.keys().filter((key) => key.includes('/snapshots/'));
    store.put(first!, maker.store.bytesOf(first!), maker.store.objects.get(first!)?.timeMs);
    const plain: string[] = [];
    const reader = encryptedStore(store, age, { onPlain: (key) => plain.push(key) });
    assert.ok((await restored(reader)).equals(lastPoint(maker).database));
    assert.ok(plain.length <= 1);
  });
});
