/**
 * `node commit-and-die.ts DATABASE COMMITS TORN`: commits, and dies like `kill -9` with the database open. With TORN `true` it
 * leaves the WAL index as a writer does that is killed after it has stored the second copy of its last header.
 */
import { openSync, readSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const HEADER_BYTES = 48;

const [, , path = '', commits = '1', torn = 'false'] = process.argv;
const database = new DatabaseSync(path, { timeout: 10_000 });
database.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF; SELECT count(*) FROM t');
const shm = openSync(`${path}-shm`, 'r+');
const before = new Uint8Array(HEADER_BYTES);
for (let n = 0; n < Number(commits); n++) {
  readSync(shm, before, 0, HEADER_BYTES, 0);
  database.exec('UPDATE t SET n = n + 1 WHERE id = 1');
}
if (torn === 'true') writeSync(shm, before, 0, HEADER_BYTES, 0);
process.kill(process.pid, 'SIGKILL');
