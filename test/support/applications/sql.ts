/**
 * An application that does what it is told: `node sql.ts DATABASE SETTINGS`. Each line of standard input is SQL, which it runs, or one
 * of the words below; each is answered with a line of JSON. It closes its connection with its input.
 *
 * - `tear SQL` runs it, and ends like a process that was killed while it published its commit: the frames are in the WAL, and of the two
 *   copies of the index's header only the second one says so (SQLite writes that one first).
 * - `count N` sets the index's counter of commits, as if there had been so many.
 * - `index` tells the head of the index.
 */
import { openSync, readSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { encodeWalIndex, readWalIndex, type WalIndex, WAL_INDEX_BYTES } from '../../../src/wal/wal-index.ts';
import { type CommandLine, commandLine, report } from './open.ts';
import type { SqlSettings } from './settings.ts';

const HEADER_BYTES = 48;
const BUSY_TIMEOUT_MS = 10_000;

const { path, settings } = commandLine() as CommandLine<SqlSettings>;
const url = pathToFileURL(path);
if (settings.padsCommits === true) url.searchParams.set('psow', '0');
const database = new DatabaseSync(url, { timeout: settings.busyTimeoutMs ?? BUSY_TIMEOUT_MS });

/** Never closed before the connection: that would drop its locks. */
function openIndex(): number {
  return openSync(`${path}-shm`, 'r+');
}

function tear(sql: string): void {
  const descriptor = openIndex();
  const before = Buffer.alloc(HEADER_BYTES);
  readSync(descriptor, before, 0, HEADER_BYTES, 0);
  database.exec(sql);
  writeSync(descriptor, before, 0, HEADER_BYTES, 0);
  process.kill(process.pid, 'SIGKILL');
}

function readIndex(descriptor: number): WalIndex {
  const bytes = Buffer.alloc(WAL_INDEX_BYTES);
  readSync(descriptor, bytes, 0, WAL_INDEX_BYTES, 0);
  const reading = readWalIndex(bytes);
  if (reading.kind !== 'index') throw new Error(`the index is ${reading.kind}`);
  return reading.index;
}

function setCount(change: number): void {
  const descriptor = openIndex();
  writeSync(descriptor, encodeWalIndex({ ...readIndex(descriptor), change }), 0, 2 * HEADER_BYTES, 0);
}

function answer(line: string): unknown {
  const [word = '', rest = ''] = /^(tear|count) (.*)$/.exec(line)?.slice(1) ?? [];
  if (word === 'tear') return tear(rest);
  if (word === 'count') return setCount(Number(rest)) ?? [];
  if (line === 'index') return [readIndex(openIndex())];
  return /^\s*(select|pragma)\b/i.test(line) ? database.prepare(line).all() : (database.exec(line), []);
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    report({ rows: answer(line) });
  } catch (error) {
    report({ error: String(error) });
  }
}
database.close();
