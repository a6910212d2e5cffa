/** Retention that cannot remove: counted, and told how long it is overdue. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { GENERATIONS_PREFIX } from '../../src/generations/names.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

const MINUTE_MS = 60_000;

describe('retention', () => {
  it('is overdue from when it was due until it has been enforced', async () => {
    let laterMs = 0;
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now() + laterMs,
      monotonicMs: () => systemClock.monotonicMs() + laterMs,
    };
    const settings = { retentionMs: 60 * MINUTE_MS, retentionCheckIntervalMs: 10 * MINUTE_MS };
    await using scene = new ReplicaScene({ settings, clock });
    const { signal } = new AbortController();
    const overdueMinutes = (): number => Math.floor(scene.replica.status.retentionOverdueMs / MINUTE_MS);
    scene.live.insert();
    await scene.replica.once(signal);
    assert.equal(overdueMinutes(), 0);
    scene.store.fault = ({ kind, key }) =>
      kind === 'remove' || (kind === 'list' && key === GENERATIONS_PREFIX) ? 'fail' : undefined;
    for (let round = 1; round <= 3; round += 1) {
      laterMs += 20 * MINUTE_MS;
      scene.live.insert();
      await assert.rejects(scene.replica.once(signal));
      assert.equal(overdueMinutes(), round * 20 - 10);
    }
    assert.ok(scene.facts.filter((fact) => fact === 'failed retention').length >= 3);
    scene.store.fault = () => undefined;
    laterMs += 10 * MINUTE_MS;
    await scene.replica.once(signal);
    assert.equal(overdueMinutes(), 0);
  });

  it('is never overdue where everything is kept', async () => {
    await using scene = new ReplicaScene({ settings: { retentionMs: 0 } });
    scene.live.insert();
    await scene.sync();
    assert.equal(scene.replica.status.retentionOverdueMs, 0);
  });
});
