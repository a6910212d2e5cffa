/** When the read transaction is held, with a real SQLite; what an application's checkpoints feel of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TRUSTED_COMMITS } from '../../src/primary/commit-count.ts';
import type { Primary } from '../../src/primary/primary.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { leaveUnpublishedCommit } from '../support/unpublished-commit.ts';
import { Scratch } from '../support/scratch.ts';
import { Follower } from '../support/take-all.ts';

const NEVER = { checkpoint: { minPages: 1_000_000 } };

/** Commits that the index counts, in one WAL that is emptied afterwards. */
function makeTrusted(live: LiveDatabase): void {
  const insert = live.app.prepare('INSERT INTO t (body) VALUES (randomblob(20))');
  for (let n = 0; n < TRUSTED_COMMITS; n++) insert.run();
  assert.equal(live.checkpoint('TRUNCATE').busy, 0);
  live.exec('PRAGMA busy_timeout=0');
}

function isFree(live: LiveDatabase): boolean {
  return live.checkpoint('TRUNCATE').busy === 0;
}

async function refreshAfter(primary: Primary, clock: FakeClock, ms: number): Promise<void> {
  clock.advance(ms);
  primary.glance();
  await primary.refresh();
}

describe('the read transaction', () => {
  it('is held while commits come, and ends when none has come for a while', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { ...NEVER, clock });
    makeTrusted(live);
    await primary.refresh();
    assert.deepEqual(primary.readLock, { isHeld: true, lasting: undefined, lostRaces: 0 });
    await refreshAfter(primary, clock, 100);
    assert.equal(primary.readLock?.isHeld, false);
    assert.equal(primary.isRestless, false);
    live.insert(1);
    await primary.refresh();
    assert.equal(primary.readLock?.isHeld, true);
    assert.equal(isFree(live), false);
    await refreshAfter(primary, clock, 100);
    assert.equal(primary.readLock?.isHeld, false);
    assert.ok(isFree(live));
    await primary.refresh();
    assert.equal(primary.readLock?.lostRaces, 0);
    await primary.close();
  });

  it('does not end before what a destination lacks is kept elsewhere', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { ...NEVER, clock });
    makeTrusted(live);
    await primary.refresh();
    const follower = new Follower(primary);
    await follower.start();
    live.insert(5, 3000);
    await primary.refresh();
    assert.equal(primary.spoolBytes, 0);
    await refreshAfter(primary, clock, 100);
    assert.equal(primary.readLock?.isHeld, false);
    assert.ok(primary.spoolBytes > 0);
    assert.ok(isFree(live));
    await primary.refresh();
    follower.take();
    live.insert(1);
    await primary.refresh();
    follower.take();
    const sql = 'SELECT count(*) AS n, hex(max(body)) AS greatest FROM t';
    assert.deepEqual(follower.rows(sql), [{ ...live.app.prepare(sql).get() }]);
    await primary.close();
  });

  it('lasts until enough commits are counted, and steps aside for a checkpoint all the same', async () => {
    using live = new LiveDatabase();
    live.exec('PRAGMA busy_timeout=0');
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { ...NEVER, clock });
    const { generation } = (await primary.refresh(), primary);
    live.insert(3);
    await primary.refresh();
    await refreshAfter(primary, clock, 100);
    assert.deepEqual(primary.readLock, { isHeld: true, lasting: 'uncounted', lostRaces: 0 });
    assert.equal(isFree(live), false, 'it stands in the WAL, and all of that goes into the file now');
    assert.ok(primary.glance(), 'it would let the application go on by stepping aside');
    await primary.refresh();
    assert.ok(isFree(live));
    live.insert(1);
    assert.equal(isFree(live), false, 'nobody can checkpoint anything newer before it has moved on');
    await primary.refresh();
    assert.deepEqual([primary.generation, primary.readLock?.lostRaces], [generation, 0]);
    await primary.close();
  });

  it('lasts for a growing time after a race was lost', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const reasons: string[] = [];
    const observer = { onGeneration: (_: string, reason: string): void => void reasons.push(reason) };
    const primary = openPrimary(live.path, { ...NEVER, clock, observer });
    makeTrusted(live);
    await primary.refresh();
    for (const lastingMs of [60_000, 120_000]) {
      await refreshAfter(primary, clock, 100);
      assert.equal(primary.readLock?.isHeld, false);
      live.insert(1);
      assert.ok(isFree(live), 'committed and emptied before anybody looks');
      live.insert(1);
      await primary.refresh();
      assert.match(reasons.at(-1) ?? '', /committed and checkpointed between two looks/);
      await refreshAfter(primary, clock, lastingMs - 1);
      assert.equal(primary.readLock?.lasting, 'lost-race');
      assert.equal(primary.readLock.isHeld, true);
      await refreshAfter(primary, clock, 1);
      assert.equal(primary.readLock.lasting, undefined);
    }
    assert.equal(primary.readLock?.lostRaces, 2);
    await primary.close();
  });

  it('what was committed before the WAL was restarted unseen is read from what is left of it', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { ...NEVER, clock });
    makeTrusted(live);
    await primary.refresh();
    const { generation } = primary;
    const follower = new Follower(primary);
    await follower.start();
    live.insert(50, 3000);
    await primary.refresh();
    await refreshAfter(primary, clock, 100);
    assert.equal(primary.readLock?.isHeld, false);
    const index = primary.position?.index ?? 0;
    live.insert(2);
    live.insert(1, 3000);
    assert.equal(live.checkpoint('RESTART').busy, 0);
    live.insert(1);
    await primary.refresh();
    assert.deepEqual([primary.generation, primary.readLock?.lostRaces], [generation, 0]);
    assert.equal(primary.position?.index, index + 1);
    follower.take();
    const sql = 'SELECT count(*) AS n, hex(max(body)) AS greatest FROM t';
    assert.deepEqual(follower.rows(sql), [{ ...live.app.prepare(sql).get() }]);
    await primary.close();
  });

  it('a commit that nobody published does not make up for one that nobody saw', async () => {
    using live = new LiveDatabase();
    const clock = new FakeClock();
    const primary = openPrimary(live.path, { ...NEVER, clock });
    makeTrusted(live);
    await primary.refresh();
    const { generation } = primary;
    live.insert(50, 3000);
    await primary.refresh();
    await refreshAfter(primary, clock, 100);
    using scratch = new Scratch();
    assert.equal(live.checkpoint('PASSIVE').busy, 0);
    leaveUnpublishedCommit(live.path, scratch);
    // Those two restart the WAL, and are overwritten; as many are left behind that never took place, so the sum is right.
    live.insert(1);
    live.insert(1);
    assert.equal(live.checkpoint('RESTART').busy, 0);
    live.insert(1);
    await primary.refresh();
    assert.notEqual(primary.generation, generation);
    assert.equal(primary.readLock?.lostRaces, 1);
    await primary.close();
  });
});
