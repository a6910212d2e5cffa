/** Judges of restored copies: by themselves, against the source, and against each other. */
import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { addBodyFunction, findFaults, lastHistory, TABLES } from './ledger.ts';

export interface Copy {
  /** Number of the last transaction in it; 0 for an empty one. */
  readonly seq: number;
  readonly digest: string;
}

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  addBodyFunction(database);
  return database;
}

function hasHistory(database: DatabaseSync): boolean {
  return database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'history'").get() !== undefined;
}

/**
 * Checks a copy by itself: SQLite's own check, then rows, sums and digests.
 *
 * @throws Error that says everything that is wrong
 */
export function judgeCopy(path: string, title: string): Copy {
  using database = open(path);
  const integrity = database.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[];
  const complaints = integrity.map((row) => row.integrity_check).filter((text) => text !== 'ok');
  const faults = [...complaints.slice(0, 3), ...(complaints.length > 0 ? [] : findFaults(database))];
  if (faults.length > 0) throw new Error(`${title} is not a state that was committed: ${faults.join('; ')}`);
  return hasHistory(database) ? lastHistory(database) : { seq: 0, digest: '' };
}

/** @throws Error when `copy` is not what the source was after the same number of transactions */
export function assertPrefix(sourcePath: string, copy: Copy, title: string): void {
  if (copy.seq === 0) return;
  using source = open(sourcePath);
  const row = source.prepare('SELECT digest FROM history WHERE seq = ?').get(copy.seq);
  const expected = (row as { digest: string } | undefined)?.digest;
  if (expected === undefined)
    throw new Error(`${title} has transaction ${copy.seq}, which the source never had`);
  if (expected !== copy.digest) throw new Error(`${title} has another history up to transaction ${copy.seq}`);
}

/** @throws Error when any row of any table, or the schema, is not the same */
export function assertSame(sourcePath: string, copyPath: string, title: string): void {
  using source = open(sourcePath);
  using copy = open(copyPath);
  const seqs = [source, copy].map((one) => (hasHistory(one) ? lastHistory(one).seq : 0));
  if (seqs[0] !== seqs[1]) {
    throw new Error(`${title} ends at transaction ${seqs[1]}, the source at ${seqs[0]}`);
  }
  for (const query of ['SELECT type, name, sql FROM sqlite_schema ORDER BY name', ...rowQueries(source)]) {
    if (hashRows(source, query) !== hashRows(copy, query)) {
      throw new Error(`${title} differs from the source in: ${query}`);
    }
  }
}

function rowQueries(source: DatabaseSync): string[] {
  if (!hasHistory(source)) return [];
  return ['SELECT * FROM history ORDER BY seq', ...TABLES.map((name) => `SELECT * FROM ${name} ORDER BY id`)];
}

function hashRows(database: DatabaseSync, query: string): string {
  const hash = createHash('sha256');
  for (const row of database.prepare(query).iterate()) {
    for (const value of Object.values(row)) {
      hash.update(value instanceof Uint8Array ? value : String(value)).update('\0');
    }
  }
  return hash.digest('hex');
}

export interface ObjectTime {
  readonly path: string;
  readonly timeMs: number;
}

/** Every object of a replica in a directory with its time, oldest first. */
export function objectTimes(replicaPath: string): ObjectTime[] {
  return readdirSync(replicaPath, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.tmp'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, timeMs: statSync(path).mtimeMs }))
    .sort((a, b) => a.timeMs - b.timeMs);
}

export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
}
