/** A snapshot is named by the index of its log, so a second one in the same log would take the place of the first. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { Replica } from '../../src/replica/replica.ts';
import { noReplicaObserver } from '../../src/replica/replica-observer.ts';
import { storageFailed } from '../../src/storage/storage-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene, SHORT_LOGS } from '../support/replica-scene.ts';

const HOUR_MS = 3_600_000;
const SNAPSHOT_INTERVAL_MS = 1;
const CHECKPOINT_PAGES = 60;

/** Counts how often each snapshot is written. */
class CountingStore extends MemoryStore {
  readonly snapshots: string[] = [];

  override async write(...call: Parameters<MemoryStore['write']>): ReturnType<MemoryStore['write']> {
    const name = /snapshots\/([0-9a-f]{8})/.exec(call[0])?.[1];
    if (name !== undefined) this.snapshots.push(name);
    return super.write(...call);
  }
}

/** The answer to the next snapshot is lost. */
class ForgetfulStore extends CountingStore {
  isForgetful = false;

  override async write(...call: Parameters<MemoryStore['write']>): ReturnType<MemoryStore['write']> {
    const written = await super.write(...call);
    if (!this.isForgetful || !call[0].includes('/snapshots/')) return written;
    throw storageFailed('the answer was lost', { retry: true });
  }
}

describe('snapshots by interval', () => {
  it('one whose answer was lost is not followed by another, in a later log', async () => {
    const clock = new FakeClock();
    const store = new ForgetfulStore();
    const settings = { snapshotIntervalMs: HOUR_MS };
    await using scene = new ReplicaScene({ store, clock, settings, primary: SHORT_LOGS });
    const { signal } = new AbortController();
    const goOn = async (ms: number): Promise<void> => {
      clock.advance(ms);
      store.nowMs = clock.now();
      scene.live.insert(3, 2000);
      await scene.sync();
      scene.live.insert(3, 2000);
      await scene.sync();
    };
    store.nowMs = clock.now();
    await scene.sync();
    await goOn(HOUR_MS);
    store.isForgetful = true;
    await assert.rejects(scene.replica.once(signal), /answer was lost/);
    store.isForgetful = false;
    await goOn(60_000);
    await scene.replica.once(signal);
    assert.equal(store.snapshots.length, 2);
    await goOn(HOUR_MS);
    await scene.replica.once(signal);
    assert.equal(store.snapshots.length, 3);
  });

  it('wait for the next log, so that the moments since the last one stay restorable', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path, { checkpoint: { minPages: CHECKPOINT_PAGES } });
    const store = new CountingStore();
    const replica = new Replica(
      {
        name: 'memory',
        metaPath: live.scratch.file('meta'),
        syncIntervalMs: 1,
        snapshotIntervalMs: SNAPSHOT_INTERVAL_MS,
        retentionMs: 0,
        retentionCheckIntervalMs: 60_000,
        validationIntervalMs: 0,
      },
      { primary, store, clock: systemClock, logger: silentLogger, observer: noReplicaObserver },
    );
    const { signal } = new AbortController();
    for (let round = 0; round < 3; round++) {
      live.insert();
      await systemClock.sleep(2 * SNAPSHOT_INTERVAL_MS);
      await replica.once(signal);
    }
    assert.deepEqual(store.snapshots, ['00000000']);
    // Enough for a checkpoint; the write after it begins the next log.
    live.insert(CHECKPOINT_PAGES, 5_000);
    await replica.once(signal);
    live.insert();
    await systemClock.sleep(2 * SNAPSHOT_INTERVAL_MS);
    await replica.once(signal);
    assert.deepEqual(store.snapshots, ['00000000', '00000001']);
    await primary.close();
  });
});
