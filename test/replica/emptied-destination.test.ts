/** Somebody removes everything from the destination while the process runs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Replica } from '../../src/replica/replica.ts';
import { noReplicaObserver } from '../../src/replica/replica-observer.ts';
import { restore } from '../../src/restore/restore.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { MemoryStore } from '../support/memory-store.ts';

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
