/**
 * More than 1 GiB, in one transaction: the page at that place is SQLite's lock page, which never holds data and never
 * appears in a log, and the transaction is a hundred times the memory that Rivulet may take.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { Scratch } from '../support/scratch.ts';
import { countObjects, restoreAlike } from './support/replica-files.ts';
import { writeConfiguration } from './support/configuration.ts';
import { Running, skip } from './support/tools.ts';

const ROWS = 270;
const ROW_BYTES = 4 * 1024 * 1024;
/** Generous beside the usual 150 MiB, because a checkout also holds the compiler of its sources; the point is "bounded". */
const MEMORY_BYTES_MAX = 200 * 1024 * 1024;

/** Most memory that a process ever had, where the system tells. */
function peakMemoryBytes(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

describe('a database of more than 1 GiB', { skip }, () => {
  test('written by one transaction while it is replicated: both tools restore it, memory stays bounded', async (t) => {
    using scratch = new Scratch();
    const path = scratch.file('large.db');
    const replicaPath = scratch.file('replica');
    using application = new DatabaseSync(path, { timeout: 10_000 });
    application.exec('PRAGMA journal_mode=wal; PRAGMA synchronous=off; PRAGMA wal_autocheckpoint=0');
    application.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT, body BLOB)');
    const config = writeConfiguration(scratch.file('config.yml'), [{ path, replicaPath }]);
    await using replicator = new Running('rivulet', ['replicate', '-config', config]);
    await replicator.until('a first snapshot', () => countObjects(replicaPath) > 0);
    application.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
       INSERT INTO t (note, body) SELECT 'row ' || i, zeroblob(${ROW_BYTES}) FROM n`,
    );
    for (let round = 0; round < 20; round++)
      application.exec(`UPDATE t SET note = 'round ${round}' WHERE id % 3 = 0`);
    const written = (): boolean => countObjects(replicaPath) > (ROWS * ROW_BYTES) / (16 * 1024 * 1024);
    await replicator.until('most of the transaction stored', written);
    const peakBytes = peakMemoryBytes(replicator.pid);
    await replicator.stop();
    t.diagnostic(`peak memory ${((peakBytes ?? 0) / 1024 / 1024).toFixed(0)} MiB`);
    assert.ok(peakBytes === undefined || peakBytes < MEMORY_BYTES_MAX, `took ${peakBytes} bytes`);
    const contents = await restoreAlike(replicaPath);
    const source = application.prepare('SELECT count(*) AS rows, sum(length(body)) AS bytes FROM t').get();
    assert.deepEqual({ ...source }, { rows: ROWS, bytes: ROWS * ROW_BYTES });
    t.diagnostic(JSON.stringify(contents).slice(0, 200));
  });
});
