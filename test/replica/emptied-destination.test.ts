/** Somebody removes everything from the destination while the process runs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Replica } from '../../src/replica/replica.ts';
import { openLease } from '../../src/replica/lease/open-lease.ts';
import { noReplicaObserver } from '../../src/replica/replica-observer.ts';
import { restore } from '../../src/restore/restore.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

const CHECKPOINT_PAGES = 60;

describe('an emptied destination', () => {
  it('gets a fresh snapshot when the next log begins', async () => {
    using live = new LiveDatabase();
    let laterMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + laterMs };
    const primary = openPrimary(live.path, { checkpoint: { minPages: CHECKPOINT_PAGES } });
    const store = new MemoryStore();
    const replica = new Replica(
      {
        name: 'memory',
        metaPath: live.scratch.file('meta'),
        syncIntervalMs: 1,
        snapshotIntervalMs: 0,
        retentionMs: 0,
        retentionCheckIntervalMs: 60_000,
        validationIntervalMs: 0,
      },
      { primary, store, clock, logger: silentLogger, observer: noReplicaObserver },
    );
    const { signal } = new AbortController();
    live.insert();
    await replica.once(signal);
    store.objects.clear();
    laterMs = 60_000;
    const codes: unknown[] = [];
    for (let round = 0; round < 6; round++) {
      live.insert(CHECKPOINT_PAGES, 5_000);
      await replica.once(signal).catch((error: unknown) => codes.push((error as { code?: unknown }).code));
    }
    assert.ok(codes.length > 0);
    assert.deepEqual(new Set(codes), new Set(['CHAIN_BROKEN']));
    await replica.once(signal);
    const outputPath = live.scratch.file('copy.db');
    await restore({ store, outputPath, target: {}, integrityCheck: 'full' });
    await primary.close();
  });
});

const PROOFS = { intervalMs: 0, quickIntervalMs: 1_000, maxSizeBytes: 0 };
const GONE = /^everything that was stored at faulty: is gone/;

describe('a destination that lost everything', () => {
  it('is told of at the next start, once, and counts as broken until the fresh snapshot is proven', async () => {
    const memory = new MemoryStore();
    await using scene = new ReplicaScene({ store: memory, settings: { verify: PROOFS } });
    scene.live.insert();
    await scene.sync();
    assert.deepEqual(scene.logger.messages('error'), []);
    await scene.restart(() => memory.objects.clear());
    scene.store.failNext(1, ({ kind }) => kind === 'write');
    await scene.refresh();
    await assert.rejects(scene.replica.syncOnce());
    await scene.replica.syncOnce();
    const [told, ...more] = scene.logger.messages('error');
    assert.match(told ?? '', GONE);
    assert.deepEqual(more, []);
    assert.equal(scene.replica.status.proof?.outcome, 'broken');
    assert.ok(scene.facts.includes('proof quick broken'));
    await scene.replica.once(new AbortController().signal);
    assert.equal(scene.replica.status.proof?.outcome, 'proven');
    await scene.assertRestores();
  });

  it('is told of when the generation is another one by then, and segments without a snapshot are left', async () => {
    const memory = new MemoryStore();
    await using scene = new ReplicaScene({ store: memory });
    scene.live.insert();
    await scene.sync();
    await scene.restart(() => {
      for (const key of memory.keys()) if (key.includes('/snapshots/')) memory.objects.delete(key);
      memory.nowMs += 1_000;
    });
    await scene.refresh();
    await assert.rejects(scene.replica.syncOnce(), { code: 'CHAIN_BROKEN' });
    memory.nowMs += 1_000;
    await scene.replica.syncOnce();
    assert.match(scene.logger.messages('error').join(), GONE);
    await scene.assertRestores();
  });

  it('is no destination whose listing is behind, nor another one under the same name', async () => {
    const memory = new MemoryStore();
    await using scene = new ReplicaScene({ store: memory });
    scene.live.insert();
    await scene.sync();
    const listed = new Map(memory.objects);
    await scene.restart();
    const list = memory.list.bind(memory);
    memory.list = async function* () {};
    await scene.refresh();
    await scene.replica.syncOnce().catch(() => undefined);
    assert.deepEqual(scene.logger.messages('error'), []);
    memory.list = list;
    assert.ok(listed.size > 0);
  });

  it('is found by the end, which stores a fresh snapshot before it says that everything is stored', async () => {
    for (const what of ['', '/snapshots/', '/wal/']) {
      const memory = new MemoryStore();
      await using scene = new ReplicaScene({ store: memory });
      scene.live.insert();
      await scene.sync();
      scene.live.insert();
      await scene.sync();
      for (const key of memory.keys()) if (key.includes(what)) memory.objects.delete(key);
      memory.nowMs += 1_000;
      await scene.replica.finish(systemClock.monotonicMs() + 10_000);
      await scene.assertRestores();
      if (what !== '/wal/') assert.match(scene.logger.messages('error').join(), GONE);
    }
  });

  it('is found by the end also where the lease went with it, which is taken again', async () => {
    const memory = new MemoryStore();
    Object.defineProperty(memory, 'nowMs', { get: () => Date.now() });
    await using scene = new ReplicaScene({
      store: memory,
      lease: (parts) =>
        openLease(
          { mode: 'auto', durationMs: 60_000, whenHeld: 'wait', renew: 'active' },
          { ...parts, clock: systemClock, name: 'memory', database: 'app', program: 'test', host: 'here' },
        ),
    });
    scene.live.insert();
    await scene.sync();
    memory.objects.clear();
    // The lease is valid by the clock: nobody asks for it.
    scene.live.insert();
    await scene.sync();
    await scene.replica.finish(systemClock.monotonicMs() + 10_000);
    await scene.assertRestores();
  });

  it('does not fail an end that cannot look', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert();
    await scene.sync();
    scene.store.fault = ({ kind }) => (kind === 'list' || kind === 'read' ? 'fail' : undefined);
    await scene.replica.finish(systemClock.monotonicMs() + 10_000);
    assert.deepEqual(scene.logger.messages('error'), []);
  });
});

describe('a destination with something else in it', () => {
  it('is told of before the first snapshot, once', async () => {
    const memory = new MemoryStore();
    memory.put('ltx/0/0000000000000001-0000000000000001.ltx', Buffer.from('LTX1'));
    await using scene = new ReplicaScene({ store: memory });
    scene.live.insert();
    scene.store.failNext(1, ({ kind }) => kind === 'write');
    await scene.refresh();
    await assert.rejects(scene.replica.syncOnce());
    await scene.replica.syncOnce();
    const told = scene.logger.messages('warn').filter((message) => /Litestream v0\.5/.test(message));
    assert.equal(told.length, 1);
    await scene.assertRestores();
  });

  it('is not looked at when the destination cannot be: that keeps nothing from being stored', async () => {
    await using scene = new ReplicaScene();
    scene.store.fault = ({ kind, key }) => (kind === 'listFolders' && key === '' ? 'fail' : undefined);
    scene.live.insert();
    await scene.sync();
    await scene.assertRestores();
  });
});
