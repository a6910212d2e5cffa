/** A restore that is killed half-way leaves nothing that a later one minds. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import { assertSameRows } from './destination/same-rows.ts';
import { Random } from './random.ts';
import { RIVULET, runCommand } from './rivulet.ts';
import { Scratch } from '../support/scratch.ts';

const seed = Number(process.env['RIVULET_SEED'] ?? 1);
const KILLS = 6;
/** Small rows in many pages: fetching and placing them takes longer than the process takes to start. */
const ROWS = 12_000;
const ROW_BYTES = 4_000;

async function makeReplica(path: string, replicaPath: string): Promise<void> {
  using database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode=wal; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)');
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO t (body) SELECT randomblob(${ROW_BYTES}) FROM n`);
  const result = await runCommand(RIVULET, ['replicate', '-once', path, `file://${replicaPath}`]);
  assert.equal(result.code, 0, result.errors + result.output);
}

suite('a restore that is killed', () => {
  test('leaves temporary files only, and the next one succeeds', { timeout: 90_000 }, async () => {
    using scratch = new Scratch();
    const random = new Random(seed);
    const replicaPath = scratch.file('replica');
    await makeReplica(scratch.file('app.db'), replicaPath);
    const folder = scratch.file('output');
    mkdirSync(folder);
    const outputPath = join(folder, 'copy.db');
    const args = ['restore', '-o', outputPath, `file://${replicaPath}`];
    let killedHalfWay = 0;
    for (let n = 0; n < KILLS; n++) {
      const { signal } = await runCommand(RIVULET, args, { killAfterMs: random.int(150, 900) });
      const left = readdirSync(folder);
      if (signal !== 'SIGKILL') break;
      // What is left is named after the output, so that the next run finds it; the database itself is not there.
      assert.ok(
        left.every((name) => name.startsWith('copy.db.tmp')),
        `left behind: ${left.join(', ')}`,
      );
      if (left.length > 0) killedHalfWay++;
    }
    if (!readdirSync(folder).includes('copy.db')) {
      const result = await runCommand(RIVULET, args);
      assert.equal(result.code, 0, result.errors);
    }
    assert.deepEqual(readdirSync(folder), ['copy.db']);
    assertSameRows(scratch.file('app.db'), outputPath);
    console.log(`killed half-way: ${killedHalfWay}`);
  });
});
