/** A restore beside a running daemon, whose retention removes what the plan was made of. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readInventory } from '../../src/generations/inventory.ts';
import { planRetention } from '../../src/generations/retention-plan.ts';
import { restore } from '../../src/restore/restore.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fillSmallReplica, lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Scratch } from '../support/scratch.ts';

/** Calls `act` when the first object that matches is about to be read. */
function once(store: FaultyStore, matches: (key: string) => boolean, act: () => void): void {
  let done = false;
  store.fault = ({ kind, key }) => {
    if (!done && (kind === 'read' || kind === 'readBytes') && matches(key)) {
      done = true;
      act();
    }
    return undefined;
  };
}

/** Removes what retention lets go of when only the newest moment is to stay. */
async function retain(store: MemoryStore): Promise<string[]> {
  const plan = planRetention(await readInventory(store), 1, store.nowMs + 60_000);
  await store.remove(plan.keys);
  return [...plan.keys];
}

describe('objects that vanish during a restore', () => {
  it('retention meanwhile: it is planned again with what is there, and the result is exact', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    using scratch = new Scratch();
    fillSmallReplica(maker, { promise: false });
    const store = new FaultyStore(maker.store);
    const logger = new RecordingLogger();
    const inventory = await readInventory(maker.store);
    // A snapshot appears behind the plan, and everything that the plan needs goes.
    maker.nextIndex();
    maker.exec('INSERT INTO t (body) VALUES (randomblob(100))');
    maker.segment();
    maker.snapshot();
    const removed = await planOf(maker.store);
    once(
      store,
      (key) => key.includes('/wal/'),
      () => {
        for (const key of removed) maker.store.objects.delete(key);
      },
    );
    const outputPath = scratch.file('out');
    const summary = await restore({ store, target: {}, outputPath, inventory, logger });
    assert.ok(readFileSync(outputPath).equals(lastPoint(maker).database));
    assert.deepEqual(summary.position, lastPoint(maker).position);
    assert.match(logger.messages('warn').join(), /the replica has changed meanwhile/);
    assert.deepEqual(scratch.names(), ['out']);
  });

  it('a moment that has left the window is not there any more, which is no damage', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    using scratch = new Scratch();
    fillSmallReplica(maker);
    const early = maker.points[1]?.timeMs ?? 0;
    const inventory = await readInventory(maker.store);
    assert.ok((await retain(maker.store)).length > 0);
    const wanted = { store: maker.store, inventory, target: { timestampMs: early } };
    await assert.rejects(restore({ ...wanted, outputPath: scratch.file('out') }), {
      code: 'TARGET_UNAVAILABLE',
    });
    assert.deepEqual(scratch.names(), []);
  });

  it('a hole that stays is a broken chain, after a few looks', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    using scratch = new Scratch();
    fillSmallReplica(maker);
    const store = new FaultyStore(maker.store);
    const hole = maker.store.keys().findLast((key) => key.endsWith('_00000000.wal.lz4')) ?? '';
    once(
      store,
      (key) => key === hole,
      () => void maker.store.objects.delete(hole),
    );
    const wanted = { store, target: {}, outputPath: scratch.file('out') };
    await assert.rejects(restore(wanted), { code: 'CHAIN_BROKEN' });
    assert.ok(store.keysOf('list').length <= 4, 'it does not look for ever');
  });
});

async function planOf(store: MemoryStore): Promise<readonly string[]> {
  return planRetention(await readInventory(store), 1, store.nowMs + 60_000).keys;
}
