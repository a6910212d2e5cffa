/**
 * Rivulet follows a database and never commits to it: not to make a WAL, not to checkpoint, not at its start or end. A commit that
 * changes nothing would still take the write lock, end other processes' read-then-write transactions, and rewrite page 1.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runApplication, RunningApplication } from '../../support/applications/run-application.ts';
import { readIndexOf } from '../../support/read-index.ts';
import { countObjects } from '../support/replica-files.ts';
import { run } from '../support/tools.ts';
import { Scene } from './scene.ts';

/** Everything that is due at intervals comes up several times meanwhile. */
const WATCHED_MS = 6_000;
const QUICK = { 'checkpoint-interval': '500ms', 'monitor-interval': '100ms' };

test('no commit is Rivulet’s: not at its start, while it follows, at its end, nor at its next start', async () => {
  await using scene = new Scene({ database: QUICK });
  await using silent = new RunningApplication('silent', scene.path, {});
  await silent.reported();
  const before = readIndexOf(scene.path).change;
  assert.ok(before > 0);
  await scene.start();
  await delay(WATCHED_MS);
  assert.equal(readIndexOf(scene.path).change, before, 'while it followed');
  await scene.stop();
  assert.equal(readIndexOf(scene.path).change, before, 'at its end');
  await scene.start();
  await delay(1_000);
  assert.equal(readIndexOf(scene.path).change, before, 'at its next start');
  await scene.stop();
  await silent.close();
});

test('a database that nobody else has open keeps its first page', async () => {
  await using scene = new Scene({ database: QUICK });
  // The last one to close, so that there is no WAL when Rivulet comes.
  const brief = { seconds: 0.1, burst: 5, rowBytes: 300, pausesMs: [0], restMs: 0 };
  await runApplication('truncating', scene.path, brief);
  const before = readFileSync(scene.path);
  await scene.start();
  await delay(WATCHED_MS / 2);
  await scene.stop();
  const { code, err } = await run('rivulet', [
    'restore',
    '-o',
    scene.scratch.file('out.db'),
    `file://${scene.replicaPath}`,
  ]);
  assert.equal(code, 0, err);
  assert.ok(countObjects(scene.replicaPath) > 0);
  assert.ok(readFileSync(scene.path).equals(before), 'the file changed');
});
