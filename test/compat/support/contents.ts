/** What a database holds, in a form that two of them can be compared by. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

/** Litestream's own tables, which no application wrote. */
const LITESTREAM_TABLES = '_litestream%';

function textOf(value: SQLOutputValue): string | Uint8Array {
  return value instanceof Uint8Array ? value : `${typeof value}:${String(value)}`;
}

/** A digest of every row of every table, and of the schema. */
export function digestRows(database: DatabaseSync): string {
  const hash = createHash('sha256');
  const tables = database.prepare(
    `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE ? ORDER BY name`,
  );
  for (const { name, sql } of tables.all(LITESTREAM_TABLES)) {
    hash.update(String(sql));
    for (const row of database.prepare(`SELECT rowid, * FROM "${String(name)}" ORDER BY rowid`).iterate()) {
      for (const value of Object.values(row)) hash.update(textOf(value)).update('|');
    }
  }
  return hash.digest('hex');
}

/** Opens a file that nobody else has open without making files beside it. */
function openStill(path: string): DatabaseSync {
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return new DatabaseSync(url, { readOnly: true });
}

/** `ok`, or what SQLite's full check found. */
export function integrityOf(path: string): string {
  try {
    using database = openStill(path);
    const rows = database.prepare('PRAGMA integrity_check').all();
    return rows.map((row) => String(row['integrity_check'])).join('; ');
  } catch (error) {
    return String(error);
  }
}

export interface Contents {
  readonly rows: string;
  readonly pages: string;
}

/** Digests of a restored file's rows and of its bytes. Throws when it does not pass SQLite's full check. */
export function contentsOf(path: string): Contents {
  const pages = createHash('sha256').update(readFileSync(path)).digest('hex');
  const integrity = integrityOf(path);
  if (integrity !== 'ok') throw new Error(`${path} is malformed: ${integrity}`);
  using database = openStill(path);
  return { rows: digestRows(database), pages };
}
