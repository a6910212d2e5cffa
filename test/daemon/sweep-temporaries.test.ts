import assert from 'node:assert/strict';
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sweepTemporaries } from '../../src/daemon/sweep-temporaries.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { runRivulet, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TURN_MS = 20;

describe('half-written files of killed processes', () => {
  it('are looked for at once and once a day, sooner after a failure, until the end', async () => {
    const clock = new FakeClock();
    const logger = new RecordingLogger();
    const stop = new AbortController();
    const calls: { atMs: number; olderThanMs: number }[] = [];
    const outcomes: (number | Error)[] = [2, new Error('away'), 0];
    const store = {
      async removeStaleTemporaries(olderThanMs: number): Promise<number> {
        calls.push({ atMs: clock.monotonicMs(), olderThanMs });
        const outcome = outcomes[calls.length - 1] ?? 0;
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
    };
    const sweeping = sweepTemporaries({ store, clock, logger, signal: stop.signal });
    const pass = async (ms: number): Promise<void> => {
      await sleep(TURN_MS);
      clock.advance(ms);
      await sleep(TURN_MS);
    };
    await pass(DAY_MS - 1);
    assert.equal(calls.length, 1);
    await pass(1);
    assert.equal(calls.length, 2);
    await pass(HOUR_MS);
    assert.equal(calls.length, 3);
    await pass(HOUR_MS);
    assert.equal(calls.length, 3);
    assert.ok(calls.every(({ olderThanMs }) => olderThanMs === DAY_MS));
    const shown = logger.lines.filter(({ level }) => level !== 'debug');
    assert.deepEqual(
      shown.map(({ level, message, fields }) => [level, message, fields?.['removed']]),
      [['info', 'removed half-written files of processes that were killed', 2]],
    );
    stop.abort();
    await sweeping;
    assert.equal(clock.sleeping, 0);
  });

  it('go away while a database is replicated, not when somebody only looks', async () => {
    using scratch = new Scratch();
    const path = scratch.file('app.db');
    using database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode=wal; CREATE TABLE t (x); INSERT INTO t VALUES (1)');
    const url = `file://${scratch.file('replica')}`;
    assert.equal((await runRivulet(['replicate', '-once', path, url])).code, 0);
    mkdirSync(scratch.file('replica/generations/0123456789abcdef/wal'), { recursive: true });
    const files = ['old', 'young'].map((name, i) => {
      const file = scratch.file(`replica/generations/0123456789abcdef/wal/${name}.tmp-${'0'.repeat(15)}${i}`);
      writeFileSync(file, 'half');
      return file;
    });
    const [old = '', young = ''] = files;
    const foreign = scratch.file(`replica/report.tmp-${'0'.repeat(16)}`);
    writeFileSync(foreign, 'precious');
    const before = new Date(Date.now() - DAY_MS - 60_000);
    for (const file of [old, foreign]) utimesSync(file, before, before);
    for (const command of [
      ['generations'],
      ['snapshots'],
      ['wal'],
      ['restore', '-o', scratch.file('out.db')],
    ])
      assert.equal((await runRivulet([...command, url])).code, 0);
    assert.ok(existsSync(old));
    const replicating = startRivulet(['replicate', path, url]);
    await replicating.said('removed half-written files');
    assert.deepEqual([existsSync(old), existsSync(young)], [false, true]);
    replicating.process.kill('SIGTERM');
    assert.equal((await replicating.ended).code, 0);
    utimesSync(young, before, before);
    assert.equal((await runRivulet(['replicate', '-once', path, url])).code, 0);
    assert.deepEqual([existsSync(young), existsSync(foreign)], [false, true]);
  });
});
