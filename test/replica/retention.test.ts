/** A retention that is cut short by a destination that fails, and one whose clock is wrong. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLogger } from '../../src/base/log.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { enforceRetention } from '../../src/replica/retention.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

const GENERATION = '00112233445566aa';
const HOUR_MS = 3_600_000;

/** Three logs of some segments, with a snapshot each. */
function filled(): MemoryStore {
  const store = new MemoryStore();
  for (let index = 0; index < 3; index += 1) {
    store.put(snapshotKey(GENERATION, index), new Uint8Array(10));
    for (const offsetBytes of [0, 4152, 8272, 12_392])
      store.put(segmentKey(GENERATION, { index, offsetBytes }), new Uint8Array(10));
    store.nowMs += HOUR_MS;
  }
  return store;
}

it('removes step by step: what follows stays while what comes before does', async () => {
  for (const refused of [
    snapshotKey(GENERATION, 0),
    segmentKey(GENERATION, { index: 1, offsetBytes: 8272 }),
  ]) {
    const store = filled();
    const remove = store.remove.bind(store);
    store.remove = async (keys, options) => {
      // As stores do: all are tried, in any order.
      await remove(
        keys.filter((key) => key !== refused),
        options,
      );
      if (keys.includes(refused)) throw new Error('refused on purpose');
    };
    const nowMs = store.nowMs + HOUR_MS;
    const enforcing = enforceRetention({ store, retentionMs: HOUR_MS, nowMs, logger: silentLogger });
    await assert.rejects(enforcing, /on purpose/);
    assert.ok(store.keys().includes(segmentKey(GENERATION, { index: 1, offsetBytes: 0 })));
    assert.equal(
      store.keys().includes(segmentKey(GENERATION, { index: 0, offsetBytes: 4152 })),
      refused.includes('snapshot'),
    );
  }
});

it('goes by the time of the store where the clock here runs ahead', async () => {
  const store = new MemoryStore();
  const dayAhead = new FakeClock(store.nowMs + 24 * HOUR_MS);
  const settings = { retentionMs: 3 * HOUR_MS, retentionCheckIntervalMs: HOUR_MS };
  await using scene = new ReplicaScene({ clock: dayAhead, store, settings });
  await scene.sync();
  const former = scene.primary.generation as string;
  store.nowMs += HOUR_MS;
  dayAhead.advance(HOUR_MS);
  await scene.primary.abandonGeneration(former, 'for this test');
  scene.live.insert(1);
  await scene.replica.once(new AbortController().signal);
  assert.ok(store.keys().some((key) => key.includes(former)));
  store.nowMs += 4 * HOUR_MS;
  dayAhead.advance(4 * HOUR_MS);
  await scene.replica.once(new AbortController().signal);
  assert.ok(!store.keys().some((key) => key.includes(former)), 'it is old by the clock of the store, too');
});
