/** A duty that fails waits longer each time, is told in time, and holds up neither the shipping nor another duty. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../src/base/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene, SHORT_LOGS } from '../support/replica-scene.ts';

/** A destination that holds something and will not be listed any more, which retention needs. */
async function refusingListings(clock: FakeClock, retentionCheckIntervalMs: number): Promise<ReplicaScene> {
  const settings = { retentionMs: 24 * 3_600_000, retentionCheckIntervalMs };
  const scene = new ReplicaScene({ clock, settings });
  scene.live.insert(2);
  await scene.sync();
  scene.store.fault = ({ kind }) => (kind === 'list' ? 'fail' : undefined);
  return scene;
}

describe('a duty that fails', () => {
  it('is told, waits longer each time, and does not disturb the shipping', async () => {
    const HOUR = 3_600_000;
    const clock = new FakeClock();
    await using scene = await refusingListings(clock, HOUR);
    const { signal } = new AbortController();
    const lines = (): number => scene.logger.matching('retention failed').length;
    const fails = async (): Promise<void> => assert.rejects(scene.replica.once(signal));
    await fails();
    assert.equal(lines(), 1);
    scene.live.insert(2);
    await fails();
    assert.equal(lines(), 1, 'not before its wait is over');
    assert.equal(scene.replica.isCaughtUp, true);
    assert.equal(scene.replica.status.state, 'streaming');
    for (let n = 0; n < 5; n++) {
      clock.advance(HOUR);
      await fails();
    }
    const waits = scene.logger.matching('retention failed').map(({ fields }) => Number(fields['retryInMs']));
    assert.equal(waits.length, 6);
    assert.ok((waits.at(-1) ?? 0) > (waits[0] ?? 0), waits.join(' '));
    scene.store.fault = () => undefined;
    assert.deepEqual(scene.logger.messages('error'), []);
    clock.advance(HOUR);
    await scene.replica.once(signal);
    assert.equal(lines(), 6);
    assert.equal(scene.logger.matching('retention works again').length, 1);
    assert.equal(scene.replica.status.lastError?.isOver, true);
  });

  it('that fails for hours needs somebody, which is said each hour', async () => {
    const MINUTE = 60_000;
    const clock = new FakeClock();
    await using scene = await refusingListings(clock, MINUTE);
    const { signal } = new AbortController();
    for (let minutes = 0; minutes < 9 * 60; minutes += 20) {
      await assert.rejects(scene.replica.once(signal));
      clock.advance(20 * MINUTE);
    }
    assert.equal(scene.logger.matching('retention failed; trying again').length, 6);
    assert.equal(scene.logger.matching('retention goes on failing').length, 3);
    assert.equal(scene.logger.messages('error').length, 3);
  });

  it('holds up none of the others: refused deletes delay neither snapshots nor proofs', async () => {
    const clock = new FakeClock();
    const MINUTE = 60_000;
    const store = new MemoryStore();
    const settings = {
      retentionMs: 10 * MINUTE,
      retentionCheckIntervalMs: MINUTE,
      snapshotIntervalMs: 5 * MINUTE,
      verify: { intervalMs: 0, quickIntervalMs: MINUTE, maxSizeBytes: 0 },
    };
    await using scene = new ReplicaScene({ clock, store, settings, primary: SHORT_LOGS });
    scene.store.fault = ({ kind }) => (kind === 'remove' ? 'fail' : undefined);
    const { signal } = new AbortController();
    const count = (fact: string): number => scene.facts.filter((one) => one === fact).length;
    for (let minute = 0; minute < 60; minute += 1) {
      store.nowMs = clock.now();
      scene.live.insert(3, 900);
      await scene.sync();
      await scene.replica.once(signal).catch(() => undefined);
      // Retention comes to wait for minutes.
      clock.advance(MINUTE);
    }
    assert.ok(count('failure') > 5, `${count('failure')} failures`);
    assert.ok(count('snapshot') >= 11, `${count('snapshot')} snapshots in an hour`);
    assert.ok(count('proof quick proven') >= 29, `${count('proof quick proven')} proofs in an hour`);
    const { lastError, state } = scene.replica.status;
    assert.equal(lastError?.duty, 'retention');
    assert.equal(lastError.isOver, false);
    assert.equal(state, 'streaming');
  });
});

describe('a clock that was years ahead for a while', () => {
  it('puts off neither snapshots nor retention nor proofs', async () => {
    const fake = new FakeClock();
    const MINUTE = 60_000;
    let aheadMs = 10 * 365 * 24 * 60 * MINUTE;
    const clock: Clock = {
      now: () => fake.now() + aheadMs,
      monotonicMs: () => fake.monotonicMs(),
      sleep: async (ms, signal) => fake.sleep(ms, signal),
    };
    const store = new MemoryStore();
    const settings = {
      retentionMs: 10 * MINUTE,
      retentionCheckIntervalMs: MINUTE,
      snapshotIntervalMs: 5 * MINUTE,
      verify: { intervalMs: 15 * MINUTE, quickIntervalMs: MINUTE, maxSizeBytes: 0 },
    };
    await using scene = new ReplicaScene({ clock, store, settings, primary: SHORT_LOGS });
    const { signal } = new AbortController();
    const minute = async (): Promise<void> => {
      store.nowMs = clock.now();
      scene.live.insert(3, 900);
      await scene.sync();
      await scene.replica.once(signal);
      fake.advance(MINUTE);
    };
    for (let n = 0; n < 7; n += 1) await minute();
    const before = scene.facts.length;
    aheadMs = 0;
    for (let n = 0; n < 40; n += 1) await minute();
    const count = (fact: string): number => scene.facts.slice(before).filter((one) => one === fact).length;
    assert.ok(count('snapshot') >= 6, `${count('snapshot')} snapshots`);
    assert.ok(count('proof quick proven') >= 15, `${count('proof quick proven')} quick proofs`);
    assert.ok(count('valid') >= 2, `${count('valid')} full proofs`);
    assert.ok(scene.logger.matching('removed what is older').length > 0, 'no retention');
    assert.deepEqual(scene.logger.messages('error'), []);
  });
});
