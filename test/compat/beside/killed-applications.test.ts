/**
 * Short-lived applications, one after another, many of them killed: between the two copies of the index's header, or instead of a
 * write, a sync, a truncation or a lock. After each kill somebody recovers the WAL: the next application, or Rivulet.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../faults/random.ts';
import { inOneProcess, SqlApplication } from '../../support/applications/sql-application.ts';
import { type Call, KillingCalls, whyNoKillingCalls } from '../../support/killing-calls.ts';
import { Scene } from './scene.ts';

const APPLICATIONS = 40;
const SEED = 7;
/** A checkpoint that is refused shall not make the test slow. */
const IMPATIENT = { busyTimeoutMs: 1_000 };
/** About as many as an application makes, so that all parts of its life are hit. */
const MOST_CALLS: Readonly<Record<Call, number>> = { pwrite: 25, ftruncate: 1, fdatasync: 4, fcntl: 60 };

const DEEDS: readonly ((random: Random) => string)[] = [
  (random) => `INSERT INTO x VALUES (1, randomblob(${random.int(1, 3000)}))`,
  (random) =>
    `BEGIN; INSERT INTO x VALUES (2, randomblob(9000)); INSERT INTO y VALUES (3, randomblob(${random.int(1, 3000)})); COMMIT`,
  () => 'UPDATE y SET a = a + 1 WHERE rowid % 3 = 0',
  () => 'UPDATE x SET a = a + 1',
  () => 'PRAGMA wal_checkpoint(TRUNCATE)',
  () => 'PRAGMA wal_checkpoint(RESTART)',
  () => 'PRAGMA wal_checkpoint(PASSIVE)',
  () => 'PRAGMA wal_autocheckpoint=1',
  (random) => `BEGIN; INSERT INTO x SELECT a, randomblob(${random.int(1, 3000)}) FROM y LIMIT 40; ROLLBACK`,
  () => 'DELETE FROM x WHERE rowid % 4 = 0',
];

function deedsOf(random: Random): string[] {
  const count = random.int(1, 6);
  return ['PRAGMA cache_size=5', ...Array.from({ length: count }, () => random.pick(DEEDS)(random))];
}

async function killedAtACall(scene: Scene, calls: KillingCalls, random: Random, n: number): Promise<boolean> {
  const call = random.pick(Object.keys(MOST_CALLS) as Call[]);
  const go = scene.scratch.file(`go-${n}`);
  const env = calls.environment(call, random.int(1, MOST_CALLS[call]), go);
  await using application = new SqlApplication(scene.path, IMPATIENT, env);
  await application.survives('SELECT 1');
  writeFileSync(go, '');
  const survived = await application.survives(...deedsOf(random));
  await application.close();
  return !survived;
}

async function tornApart(scene: Scene, random: Random): Promise<boolean> {
  await using application = new SqlApplication(scene.path, IMPATIENT);
  await application.run(...deedsOf(random));
  await application.tear('UPDATE x SET a = a + 1');
  return true;
}

test(
  `${APPLICATIONS} short-lived applications, many of them killed`,
  { skip: whyNoKillingCalls() },
  async (t) => {
    await using scene = new Scene();
    const calls = new KillingCalls(scene.scratch.path);
    const random = new Random(SEED);
    await inOneProcess(scene.path, [
      'PRAGMA journal_mode=wal',
      'CREATE TABLE x (a, b)',
      'CREATE TABLE y (a, b)',
      'INSERT INTO x VALUES (0, 0)',
    ]);
    await scene.start();
    let killed = 0;
    for (let n = 0; n < APPLICATIONS; n++) {
      const kind = random.weighted({ torn: 3, call: 5, whole: 2 });
      if (kind === 'whole') await inOneProcess(scene.path, deedsOf(random), IMPATIENT);
      else if (kind === 'torn') killed += Number(await tornApart(scene, random));
      else killed += Number(await killedAtACall(scene, calls, random, n));
      if (random.chance(0.3)) await delay(random.int(0, 300));
    }
    t.diagnostic(`${killed} of ${APPLICATIONS} killed`);
    assert.ok(killed >= APPLICATIONS / 3, `only ${killed} were killed`);
    await scene.assertRestoreEquals();
  },
);
