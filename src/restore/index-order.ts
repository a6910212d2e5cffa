/**
 * Which complaints of SQLite's integrity check say only that an index has another order than this SQLite would give it. An
 * application may replace every collation but BINARY, NOCASE too, and functions such as lower(), and its indexes are sound under its own.
 */
import type { DatabaseSync } from 'node:sqlite';

const OF_INDEX = /^(?:row \d+ missing from|non-unique entry in) index (.+)$/s;
const OF_TABLE = /^row not in PRIMARY KEY order for (.+)$/s;

/**
 * Those of `complaints` that are. A wrong number of entries, or pages that do not fit together, are never matters of order.
 * Each index is looked into once, which takes as long as reading it.
 */
export function ofOrderAlone(database: DatabaseSync, complaints: readonly string[]): ReadonlySet<string> {
  const known = new Map<string, boolean>();
  const found = complaints.filter((complaint) => {
    const index = OF_INDEX.exec(complaint)?.[1];
    const table = OF_TABLE.exec(complaint)?.[1];
    const subject = `${index ?? ''} ${table ?? ''}`;
    const isOrder = known.get(subject) ?? isOrderAlone(database, index, table);
    known.set(subject, isOrder);
    return isOrder;
  });
  return new Set(found);
}

function isOrderAlone(database: DatabaseSync, index: string | undefined, table: string | undefined): boolean {
  try {
    if (index !== undefined) {
      const mayDiffer = hasOwnCollation(database, index) || isOfReplacedFunctions(database, index);
      return mayDiffer && holdsTheRows(database, index);
    }
    return (
      table !== undefined && primaryKeysOf(database, table).some((key) => hasOwnCollation(database, key))
    );
  } catch {
    // What cannot be looked into is what SQLite says it is.
    return false;
  }
}

function primaryKeysOf(database: DatabaseSync, table: string): string[] {
  const rows = database.prepare("SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'").all(table);
  return rows.map((row) => String(row['name']));
}

function hasOwnCollation(database: DatabaseSync, index: string): boolean {
  const keys = database.prepare('SELECT coll FROM pragma_index_xinfo(?) WHERE key').all(index);
  return keys.some(({ coll }) => coll !== 'BINARY');
}

/** In `PRAGMA index_xinfo`. */
const ROWID = -1;
const EXPRESSION = -2;
/** Of what SQLite brings with it, its extension for Unicode (ICU) and others like it replace these. */
const REPLACED = /\b(?:lower|upper|like|regexp)\b/i;

function isOfReplacedFunctions(database: DatabaseSync, index: string): boolean {
  const sql = database.prepare(OWNER).get(index)?.['sql'];
  return typeof sql === 'string' && REPLACED.test(sql.slice(sql.indexOf('(')));
}

/**
 * Whether the entries are the rows of the table, byte by byte, in whatever order; of an expression only that there is one for
 * each row. Not for indexes of some rows, whose entries nothing else in the file tells.
 */
function holdsTheRows(database: DatabaseSync, index: string): boolean {
  const owner = database.prepare(OWNER).get(index);
  if (owner === undefined || owner['partial'] !== 0) return false;
  const columns = database
    .prepare('SELECT cid, name FROM pragma_index_xinfo(?)')
    .all(index)
    .filter(({ cid }) => cid !== EXPRESSION)
    .map(({ cid, name }) => (cid === ROWID ? 'rowid' : `${quoted(name)} COLLATE BINARY`))
    .join(', ');
  const table = quoted(owner['tbl_name']);
  const entries = `SELECT ${columns} FROM ${table} INDEXED BY ${quoted(index)}`;
  const rows = `SELECT ${columns} FROM ${table} NOT INDEXED`;
  const [fewer, more] = [`${rows} EXCEPT ${entries}`, `${entries} EXCEPT ${rows}`].map((sql) =>
    database.prepare(`${sql} LIMIT 1`).get(),
  );
  return fewer === undefined && more === undefined;
}

const OWNER = `SELECT s.tbl_name, s.sql, l.partial FROM sqlite_schema AS s, pragma_index_list(s.tbl_name) AS l
  WHERE s.type = 'index' AND s.name = ?1 AND l.name = ?1`;

function quoted(name: unknown): string {
  return `"${String(name).replaceAll('"', '""')}"`;
}
