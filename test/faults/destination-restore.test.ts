/** A restore that is killed half-way leaves nothing that a later one minds. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertSameRows } from './destination/same-rows.ts';
import { ManagedProcess } from './process.ts';
import { Random } from './random.ts';
import { RIVULET, runCommand } from './rivulet.ts';
import { Scratch } from '../support/scratch.ts';

const seed = Number(process.env['RIVULET_SEED'] ?? 1);
const KILLS = 6;
/** Small rows in many pages: fetching and placing them takes longer than the process takes to start. */
const ROWS = 12_000;
const ROW_BYTES = 4_000;
/** Less than writing takes. */
const WRITING_MS = 60;

async function makeReplica(path: string, replicaPath: string): Promise<void> {
  using database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode=wal; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)');
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO t (body) SELECT randomblob(${ROW_BYTES}) FROM n`);
  const result = await runCommand(RIVULET, ['replicate', '-once', path, `file://${replicaPath}`]);
  assert.equal(result.code, 0, result.errors + result.output);
}

/** Kills a restore at a random moment after it has begun to write. */
async function killHalfWay(restore: ManagedProcess, folder: string, random: Random): Promise<void> {
  restore.start();
  const hasBegun = (): boolean => readdirSync(folder).some((name) => name.startsWith('copy.db.tmp-'));
  while (restore.isRunning && !hasBegun()) await sleep(2);
  await sleep(random.int(0, WRITING_MS));
  await restore.kill();
}

suite('a restore that is killed', () => {
  test('leaves temporary files only, and the next one succeeds', { timeout: 300_000 }, async () => {
    using scratch = new Scratch();
    const random = new Random(seed);
    await makeReplica(scratch.file('app.db'), scratch.file('replica'));
    const folder = scratch.file('output');
    mkdirSync(folder);
    const outputPath = join(folder, 'copy.db');
    const args = ['restore', '-o', outputPath, `file://${scratch.file('replica')}`];
    const title = 'restore';
    const process = new ManagedProcess({
      title,
      file: RIVULET,
      args: () => args,
      outputPath: scratch.file('log'),
    });
    for (let n = 0; n < KILLS; n++) {
      await killHalfWay(process, folder, random);
      const left = readdirSync(folder);
      // Killed between the last step and the end of the process: the database is whole, which is seen below.
      if (left.includes('copy.db')) break;
      // What is left is named after the output, so that the next run finds it.
      const strangers = left.filter((name) => !name.startsWith('copy.db.tmp'));
      assert.deepEqual(strangers, []);
    }
    if (!existsSync(outputPath)) {
      const result = await runCommand(RIVULET, args);
      assert.equal(result.code, 0, result.errors);
      assert.deepEqual(readdirSync(folder), ['copy.db']);
    }
    assertSameRows(scratch.file('app.db'), outputPath);
  });
});
