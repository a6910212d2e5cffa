/** The beginning and the end of every application of this folder. */
import { writeSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

const SQLITE_BUSY = 5;
const PRIMARY_CODE = 0xff;
const BUSY_TIMEOUT_MS = 5_000;

export interface Opened {
  readonly database: DatabaseSync;
  /** Adds a row: its number, and so many random bytes. */
  readonly insert: StatementSync;
}

export function openApplication(
  path: string,
  settings: { readonly busyTimeoutMs?: number; readonly autoCheckpointPages?: number },
): Opened {
  const database = new DatabaseSync(path, { timeout: settings.busyTimeoutMs ?? BUSY_TIMEOUT_MS });
  database.exec('PRAGMA journal_mode=wal; PRAGMA synchronous=normal');
  if (settings.autoCheckpointPages !== undefined)
    database.exec(`PRAGMA wal_autocheckpoint=${settings.autoCheckpointPages}`);
  database.exec('CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, number INTEGER, body BLOB)');
  return { database, insert: database.prepare('INSERT INTO rows (number, body) VALUES (?, randomblob(?))') };
}

/** SQLITE_BUSY in any of its forms: "database is locked". */
export function isBusy(error: unknown): boolean {
  return (
    error instanceof Error && 'errcode' in error && (Number(error.errcode) & PRIMARY_CODE) === SQLITE_BUSY
  );
}

export interface CommandLine<Settings> {
  readonly path: string;
  readonly settings: Settings;
}

/** `node SCRIPT DATABASE SETTINGS`, the settings as JSON. */
export function commandLine(): CommandLine<unknown> {
  const [path = '', json = '{}'] = process.argv.slice(2);
  return { path, settings: JSON.parse(json) };
}

export function report(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Waits as an application without an event loop does. */
export function rest(ms: number): void {
  if (ms > 0) Atomics.wait(cell, 0, 0, ms);
}

export function quantileOf(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
