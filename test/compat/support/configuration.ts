/** A configuration file in the form of v0.3.13, which both tools read. */
import { writeFileSync } from 'node:fs';

/** Keys of a database, and of its one replica, as the file has them. */
export interface DatabaseEntry {
  readonly path: string;
  readonly replicaPath: string;
  readonly database?: Readonly<Record<string, string | number>>;
  readonly replica?: Readonly<Record<string, unknown>>;
}

/** Quick enough for a test; the defaults are a second. */
const DATABASE_DEFAULTS = { 'monitor-interval': '20ms' };
const REPLICA_DEFAULTS = { 'sync-interval': '20ms' };

/** Writes the file and answers its path. JSON is YAML. */
export function writeConfiguration(path: string, entries: readonly DatabaseEntry[]): string {
  const dbs = entries.map((entry) => ({
    ...DATABASE_DEFAULTS,
    ...entry.database,
    path: entry.path,
    replicas: [{ ...REPLICA_DEFAULTS, ...entry.replica, path: entry.replicaPath }],
  }));
  writeFileSync(path, JSON.stringify({ dbs }, undefined, 2));
  return path;
}
