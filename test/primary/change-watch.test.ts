import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import {
  checkpointInBackground,
  checkpointWithin,
  isCheckpointerFree,
} from '../../src/primary/background-checkpoint.ts';
import { ChangeWatch } from '../../src/primary/change-watch.ts';
import { follow } from '../../src/primary/follow.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { Scratch } from '../support/scratch.ts';
import { PATIENCE_MS, until, untilQuiet } from '../support/until.ts';

const NEVER_MS = 3_600_000;

function watchOf(path: string, pollIntervalMs: number): { watch: ChangeWatch; seen: () => number } {
  let seen = 0;
  const watch = new ChangeWatch({ path, pollIntervalMs, onChange: () => void seen++ });
  return { watch, seen: () => seen };
}

describe('the watch over one database', () => {
  it('hears of the file and its log, and of nothing else in the folder', async () => {
    using scratch = new Scratch();
    const { watch, seen } = watchOf(scratch.file('x.db'), NEVER_MS);
    watch.start();
    writeFileSync(scratch.file('x.db'), '1');
    await until('it is heard', () => seen() > 0);
    await untilQuiet('the file', seen, 100);
    const before = seen();
    writeFileSync(scratch.file('other.db'), '1');
    writeFileSync(scratch.file('x.db-shm'), '1');
    await delay(50);
    assert.equal(seen(), before);
    writeFileSync(scratch.file('x.db-wal'), '1');
    await until('it is heard', () => seen() > before);
    watch.stop();
    watch.stop();
  });

  it('is deaf while it pauses, and hears again after', async () => {
    using scratch = new Scratch();
    const { watch, seen } = watchOf(scratch.file('x.db'), NEVER_MS);
    watch.start();
    watch.pause();
    writeFileSync(scratch.file('x.db'), '1');
    await delay(50);
    assert.equal(seen(), 0);
    watch.resume();
    watch.resume();
    appendFileSync(scratch.file('x.db'), '2');
    await until('it is heard', () => seen() > 0);
    watch.stop();
  });

  it('without a folder to listen to, the poll notices what comes', async () => {
    using scratch = new Scratch();
    const { watch, seen } = watchOf(scratch.file('later/x.db'), 5);
    watch.start();
    await until('it is heard', () => seen() > 0);
    const before = seen();
    mkdirSync(scratch.file('later'));
    writeFileSync(scratch.file('later/x.db'), '1');
    await until('it is heard', () => seen() > before);
    watch.stop();
    const after = seen();
    await delay(50);
    assert.equal(seen(), after);
  });

  it('now and then says "perhaps" although nothing shows, and copes with what is no folder', async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file('file'), '');
    const { watch, seen } = watchOf(scratch.file('file/x.db'), 2);
    watch.start();
    await until('it is heard', () => seen() >= 3);
    watch.stop();
  });
});

describe('following a database', () => {
  it('finds commits at once, waits after failures, and ends with its signal', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    const stop = new AbortController();
    const failures: unknown[] = [];
    let successes = 0;
    const following = follow({
      primary,
      clock: systemClock,
      pollIntervalMs: NEVER_MS,
      onFailure: (error) => (failures.push(error), 5),
      onSuccess: () => void successes++,
      signal: stop.signal,
    });
    await until('it is followed', () => primary.position !== undefined);
    for (let commit = 0; commit < 5; commit++) {
      const before = primary.position?.offsetBytes ?? 0;
      live.insert(1);
      await until('the commit is found', () => (primary.position?.offsetBytes ?? 0) > before);
      await delay(commit * 60);
    }
    assert.ok(successes > 0);
    assert.deepEqual(failures, []);
    await untilQuiet('nothing stirs, so nobody looks', () => successes, 300);
    const refresh = primary.refresh.bind(primary);
    let broken = 2;
    primary.refresh = async () => {
      if (broken-- > 0) throw new Error('on purpose');
      return refresh();
    };
    live.insert(1);
    await until('it failed twice', () => failures.length === 2);
    stop.abort();
    await following;
    await primary.close();
  });

  it('leaves a database that appears to its maker for a moment: the log is not opened under an application', async () => {
    using scratch = new Scratch();
    const clock = new FakeClock();
    const primary = openPrimary(scratch.file('app.db'), { clock });
    const stop = new AbortController();
    const following = follow({
      primary,
      clock,
      pollIntervalMs: NEVER_MS,
      onFailure: (error) => assert.fail(String(error)),
      onSuccess: () => undefined,
      signal: stop.signal,
    });
    await until('it waits', () => clock.sleeping > 0);
    const app = new DatabaseSync(primary.settings.path, { timeout: 0 });
    app.exec('PRAGMA journal_mode=wal; CREATE TABLE t (a)');
    await until('it rests', () => {
      // Looks that find nothing yet go on; the rest is longer than any of their spacings.
      if (!clock.sleeps.includes(500)) clock.advance(5);
      return clock.sleeps.includes(500);
    });
    for (let row = 0; row < 20; row++) app.exec('INSERT INTO t VALUES (1)');
    assert.equal(primary.status, 'waiting');
    clock.advance(500);
    await until('it is followed', () => primary.status === 'following');
    stop.abort();
    await following;
    await primary.close();
    app.close();
  });

  it('does not begin when it is to end already', async () => {
    using live = new LiveDatabase();
    const primary = openPrimary(live.path);
    await follow({
      primary,
      clock: systemClock,
      pollIntervalMs: 10,
      onFailure: () => assert.fail('no look'),
      onSuccess: () => assert.fail('no look'),
      signal: AbortSignal.abort(),
    });
    await primary.close();
  });
});

describe('a checkpoint on a thread of its own', () => {
  it('checkpoints what nobody holds back, and resolves also when it cannot', async () => {
    using live = new LiveDatabase();
    live.insert(50, 3000);
    await Promise.all([
      checkpointInBackground(live.path),
      checkpointInBackground(live.scratch.file('no/such.db')),
      checkpointInBackground(live.scratch.path),
    ]);
    const { log } = live.checkpoint('PASSIVE');
    live.insert(1);
    assert.ok(live.checkpoint('PASSIVE').log < log, 'all was checkpointed, so the log began anew');
  });

  it('is waited for only as long as the caller may stand still, and goes on then', async () => {
    using live = new LiveDatabase();
    // So much that the thread cannot have done it in the moment until this one looks.
    live.insert(4000, 8000);
    await untilFree();
    assert.equal(checkpointWithin(live.path, 0), 'late');
    await untilFree();
    assert.equal(live.checkpoint('PASSIVE').busy, 0);
    live.insert(50, 3000);
    assert.equal(checkpointWithin(live.path, PATIENCE_MS), 'done');
    const { log } = live.checkpoint('PASSIVE');
    live.insert(1);
    assert.ok(live.checkpoint('PASSIVE').log < log, 'all was checkpointed, so the log began anew');
    // A checkpoint for which no connection can be opened does nothing, and ends.
    assert.equal(checkpointWithin(live.scratch.path, PATIENCE_MS), 'done');
  });
});

/** It asks for some moments only, and starting a thread may take longer. */
async function untilFree(): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (!(await isCheckpointerFree())) assert.ok(performance.now() < untilMs, 'the thread is never free');
}
