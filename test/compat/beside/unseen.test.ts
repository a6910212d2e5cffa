/**
 * Rivulet does not run while applications do what makes continuity hard to prove: its next look comes too late. The restored database must
 * be the live one all the same.
 */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Sequence, SEQUENCES } from '../../support/applications/sequences.ts';
import { inOneProcess, SqlApplication } from '../../support/applications/sql-application.ts';
import { readIndexOf } from '../../support/read-index.ts';
import { generationsOf } from '../support/replica-files.ts';
import { Scene } from './scene.ts';

/** Far more than Rivulet takes to copy what is there and to end its read transaction, on a busy machine too. */
const QUIET_MS = 2_000;

async function follow(sequence: Sequence, scene: Scene): Promise<void> {
  const { stays, make, unseen, rounds = 1 } = sequence;
  await using application = stays === undefined ? undefined : new SqlApplication(scene.path, stays);
  if (application === undefined) await inOneProcess(scene.path, make);
  else await application.run(...make);
  await scene.start();
  for (let left = rounds; left > 0; left--) {
    await delay(QUIET_MS);
    scene.sleep();
    try {
      await unseen(scene.path, application);
    } finally {
      scene.wake();
    }
  }
  await delay(QUIET_MS);
}

describe('what happens while Rivulet does not run', () => {
  for (const sequence of SEQUENCES) {
    test(sequence.title, async () => {
      await using scene = new Scene();
      await follow(sequence, scene);
      if (sequence.expects === 'continuity') assert.equal(generationsOf(scene.replicaPath).length, 1);
      if (sequence.expects === 'snapshot')
        assert.match(scene.rivulet.log, /snapshot written[\s\S]*snapshot written/);
      await scene.assertRestoreEquals();
    });
  }

  test('Rivulet is stopped, and its application begins again with as many commits as before', async () => {
    await using scene = new Scene();
    await using first = new SqlApplication(scene.path);
    await first.run('PRAGMA journal_mode=wal', 'CREATE TABLE x (a)', 'CREATE TABLE y (a)');
    await first.run('INSERT INTO x VALUES (0)', 'INSERT INTO y VALUES (0)');
    await scene.start();
    await first.run('UPDATE x SET a = 1');
    await delay(QUIET_MS);
    const { change } = readIndexOf(scene.path);
    const { ino } = statSync(`${scene.path}-shm`);
    await scene.stop();
    // The last one: the WAL and its index are deleted.
    await first.close();
    assert.equal(existsSync(`${scene.path}-shm`), false);
    await using second = new SqlApplication(scene.path);
    for (let n = 0; n < change; n++) await second.run(`UPDATE x SET a = ${100 + n}`);
    await second.checkpoint('TRUNCATE');
    await second.run('UPDATE y SET a = 5', 'UPDATE y SET a = 6');
    // Usually even the number of the file is the same one.
    assert.ok(statSync(`${scene.path}-shm`).ino > 0 && ino > 0);
    assert.equal(readIndexOf(scene.path).change, change + 2);
    await scene.start();
    await delay(QUIET_MS);
    await scene.assertRestoreEquals();
  });
});

test('the counter of commits passes 2^32: nothing is missed, and no snapshot is taken', async () => {
  await using scene = new Scene();
  await using application = new SqlApplication(scene.path);
  await application.run('PRAGMA journal_mode=wal', 'CREATE TABLE x (a, b)');
  await application.setCount(2 ** 32 - 5);
  await scene.start();
  for (let n = 0; n < 24; n++) {
    await application.run(`INSERT INTO x VALUES (${n}, randomblob(3000))`);
    await delay(30);
    if (n % 7 !== 3) continue;
    await delay(QUIET_MS);
    await application.checkpoint('TRUNCATE');
  }
  assert.ok(readIndexOf(scene.path).change < 100);
  assert.equal(generationsOf(scene.replicaPath).length, 1);
  await scene.assertRestoreEquals();
});

test('a clean database without a WAL, which Rivulet opens first: all of it is in the snapshot', async () => {
  await using scene = new Scene();
  await inOneProcess(scene.path, [
    'CREATE TABLE x (a)',
    'INSERT INTO x VALUES (randomblob(20000))',
    'PRAGMA journal_mode=wal',
  ]);
  assert.equal(existsSync(`${scene.path}-wal`), false);
  await scene.start();
  await delay(QUIET_MS);
  await scene.assertRestoreEquals();
});

test('no descriptor that Rivulet closes drops its locks: the last application leaves the WAL where it is', async () => {
  await using scene = new Scene();
  await inOneProcess(scene.path, [
    'PRAGMA journal_mode=wal',
    'CREATE TABLE x (a)',
    'INSERT INTO x VALUES (0)',
  ]);
  await scene.start();
  await delay(QUIET_MS);
  const wal = (): number => statSync(`${scene.path}-wal`).ino;
  await inOneProcess(scene.path, ['UPDATE x SET a = 1']);
  const before = wal();
  for (let n = 0; n < 5; n++) {
    await delay(QUIET_MS / 2);
    await inOneProcess(scene.path, [`UPDATE x SET a = a + ${n}`]);
    assert.equal(wal(), before, 'another WAL');
  }
  await scene.assertRestoreEquals();
});
