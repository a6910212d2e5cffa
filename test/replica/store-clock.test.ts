/** The clock here, and that of the store, by which objects are old or not. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Clock } from '../../src/base/clock.ts';
import { StoreClock } from '../../src/replica/store-clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

const HOUR_MS = 3_600_000;

it('both clocks are asked, and that of the store goes on between two writes', async () => {
  const clock = new FakeClock();
  const startMs = clock.now();
  const storeClock = new StoreClock(clock);
  assert.deepEqual([storeClock.earliestMs, storeClock.latestMs], [startMs, startMs]);
  const store = new MemoryStore();
  store.nowMs = startMs - HOUR_MS;
  await storeClock.watched(store).write('a', new Uint8Array(1));
  clock.advance(7);
  assert.deepEqual([storeClock.earliestMs, storeClock.latestMs], [startMs - HOUR_MS + 7, startMs + 7]);
  store.nowMs = startMs + HOUR_MS;
  await storeClock.watched(store).write('a', new Uint8Array(1));
  assert.deepEqual([storeClock.earliestMs, storeClock.latestMs], [startMs + 7, startMs + HOUR_MS]);
});

it('what retention removed is not missed when the clock here is set back afterwards', async () => {
  const fake = new FakeClock();
  let skewMs = 0;
  const clock: Clock = {
    now: () => fake.now() + skewMs,
    monotonicMs: () => fake.monotonicMs(),
    sleep: async (ms, signal) => fake.sleep(ms, signal),
  };
  const store = new MemoryStore();
  const settings = {
    snapshotIntervalMs: 1,
    retentionMs: 3 * HOUR_MS,
    retentionCheckIntervalMs: HOUR_MS,
    verify: { quickIntervalMs: 1, intervalMs: 0, maxSizeBytes: 0 },
  };
  await using scene = new ReplicaScene({ clock, store, settings, primary: { checkpoint: { minPages: 1 } } });
  // What is looked at again waits for a time that does not pass here.
  const signal = AbortSignal.timeout(5_000);
  const live = async (hours: number): Promise<void> => {
    for (let hour = 0; hour < hours; hour++) {
      store.nowMs = fake.now();
      scene.live.insert(2, 1500);
      await scene.replica.once(signal);
      await scene.refresh();
      fake.advance(HOUR_MS);
    }
  };
  await live(8);
  assert.ok(scene.logger.matching('removed what is older').length > 0);
  skewMs = -24 * HOUR_MS;
  await live(3);
  assert.deepEqual(scene.logger.messages('error'), []);
  assert.equal(scene.replica.status.proof?.outcome, 'proven');
});
