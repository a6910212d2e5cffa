/** What is in a database, in a form that can be compared: for each table the number of rows and a digest of them all. */
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

export interface TableContent {
  readonly table: string;
  readonly rows: number;
  readonly digest: string;
}

/** Reads every row of every table, in the order of the primary keys. */
export function fingerprint(databasePath: string): TableContent[] {
  const database = new DatabaseSync(databasePath, { readOnly: true });
  try {
    const tables = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
      .all();
    return tables.map(({ name }) => contentOf(database, String(name)));
  } finally {
    database.close();
  }
}

/** All tables here have their primary key in the first columns. */
function contentOf(database: DatabaseSync, table: string): TableContent {
  const hash = createHash('sha256');
  let rows = 0;
  for (const row of database.prepare(`SELECT * FROM "${table}" ORDER BY 1, 2`).iterate()) {
    hash.update(JSON.stringify(Object.values(row)));
    rows += 1;
  }
  return { table, rows, digest: hash.digest('hex').slice(0, 16) };
}

/** SQLite's own check of the whole file. */
export function integrity(databasePath: string): string {
  const database = new DatabaseSync(databasePath, { readOnly: true });
  try {
    return String(Object.values(database.prepare('PRAGMA integrity_check').get() ?? {})[0]);
  } finally {
    database.close();
  }
}
