/**
 * Descriptors of database files and WAL indexes that may not be closed yet. POSIX locks belong to the process and the file:
 * closing any descriptor of a file drops every lock that any connection of this process has on it (sqlite.org/howtocorrupt.html,
 * section 2.2). So a descriptor is closed only when no connection of this process is open on its database, be it one that
 * follows, a snapshot of an earlier following that still reads, or one that was opened again meanwhile.
 */
import type { Files } from '../base/files.ts';

interface Database {
  connections: number;
  readonly waiting: (() => void)[];
}

/** Of each machine, so that simulated processes have their own. */
const kept = new WeakMap<Files, Map<string, Database>>();

/** Device and inode of a database file. */
export interface DatabaseKey {
  readonly device: string;
  readonly inode: string;
}

function databaseOf(files: Files, { device, inode }: DatabaseKey): Database {
  const all = kept.get(files) ?? new Map<string, Database>();
  kept.set(files, all);
  const key = `${device} ${inode}`;
  const database = all.get(key) ?? { connections: 0, waiting: [] };
  all.set(key, database);
  return database;
}

/** Says that connections are open. Call what is returned once, when they are closed. */
export function connectionsOpened(files: Files, key: DatabaseKey): () => void {
  const database = databaseOf(files, key);
  database.connections++;
  return () => {
    database.connections--;
    closeWaiting(files, key, database);
  };
}

/** Closes now, or when the last connection on the database is closed. */
export function closeWhenUnused(files: Files, key: DatabaseKey, close: () => void): void {
  const database = databaseOf(files, key);
  database.waiting.push(close);
  closeWaiting(files, key, database);
}

function closeWaiting(files: Files, { device, inode }: DatabaseKey, database: Database): void {
  if (database.connections > 0) return;
  kept.get(files)?.delete(`${device} ${inode}`);
  for (const close of database.waiting.splice(0)) close();
}
