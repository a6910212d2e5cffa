/**
 * An application that knows nothing of replication: `node writer-process.ts DB_PATH [BODY_BYTES [PAUSE_MS]]`. It commits
 * all the time through its own connection, measures each commit, and at SIGTERM says how it went.
 */
import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WriterReport } from './writer-report.ts';

const BUSY_TIMEOUT_MS = 10_000;

const [path = '', bodyBytes = '2000', pauseMs = '10'] = process.argv.slice(2);
const errors: string[] = [];
let commits = 0;
let longestMs = 0;
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());

const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
database.exec('PRAGMA journal_mode=wal; PRAGMA synchronous=normal');
database.exec(`CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, at_ms INTEGER, body BLOB);
  CREATE TABLE IF NOT EXISTS counts (id INTEGER PRIMARY KEY, events INTEGER);
  INSERT OR IGNORE INTO counts VALUES (1, 0)`);
const insert = database.prepare('INSERT INTO events (at_ms, body) VALUES (?, randomblob(?))');
const count = database.prepare('UPDATE counts SET events = events + 1');
writeSync(1, 'writing\n');
while (!ending.signal.aborted) {
  const startedMs = performance.now();
  try {
    database.exec('BEGIN IMMEDIATE');
    insert.run(Date.now(), Number(bodyBytes));
    count.run();
    database.exec('COMMIT');
    commits++;
  } catch (error) {
    errors.push(String(error));
    if (database.isTransaction) database.exec('ROLLBACK');
  }
  longestMs = Math.max(longestMs, performance.now() - startedMs);
  await sleep(Number(pauseMs));
}
database.close();
const report: WriterReport = { commits, errors, longestMs };
writeSync(1, `${JSON.stringify(report)}\n`);
