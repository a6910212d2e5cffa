/**
 * Connections that do not depend on what the schema says. Pages are copied without understanding them, so a schema that the SQLite
 * of this process cannot parse (the application's own is newer, or brings more with it) must stop nobody from reading them.
 *
 * SQLite parses the schema before nearly every statement, and refuses all of them at the first definition that it cannot parse. With
 * `writable_schema` it leaves that definition out instead; `defensive` would forbid the setting. Nothing is written all the same.
 */
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite';

/** @throws SQLite's error; nothing stays open then */
export function openAnySchema(path: string | URL, options: DatabaseSyncOptions): DatabaseSync {
  const connection = new DatabaseSync(path, { ...options, allowExtension: false, defensive: false });
  try {
    connection.exec('PRAGMA writable_schema=ON');
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** What SQLite throws when it must parse all of the schema; undefined when it can. The connection insists on that from then on. */
export function obstacleInSchema(connection: DatabaseSync): unknown {
  try {
    connection.exec('PRAGMA writable_schema=OFF');
    connection.prepare('SELECT 1 FROM sqlite_schema').get();
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Why the SQLite of this process cannot parse the schema, in its own words; undefined when it can. For a connection that
 * insists on all of it.
 */
export function unparsableSchema(error: unknown): string | undefined {
  const text = error instanceof Error ? error.message : '';
  const [, name, why] = /^malformed database schema \((.*?)\) - (.+)$/s.exec(text) ?? [];
  // Those two are about pages, which every version of SQLite understands alike.
  if (name === undefined || why === undefined || /^(?:invalid rootpage|orphan index)$/.test(why))
    return undefined;
  return `${name}: ${why}`;
}
