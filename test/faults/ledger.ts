/**
 * The application's data, made so that any copy of it can be judged by itself. Each row's body follows from its
 * mark; each transaction adds a row to `history` with the sums over all tables and a hash chained to the row before.
 * A copy is a state that the application once committed if and only if all of that fits together.
 */
import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

export const TABLES = ['accounts', 'orders', 'documents'] as const;
export type Table = (typeof TABLES)[number];

/** Marks follow each other by this rule in SQL; the modulus keeps sums exact in a JavaScript number. */
export const NEXT_MARK = '((mark * 48271 + 11) % 2147483647)';
const ROW_SUM = '(mark * 31 + id * 1000003) % 2147483647';
const CHAIN_START = '';

export const SCHEMA = `
  CREATE TABLE history (seq INTEGER PRIMARY KEY, state TEXT NOT NULL, digest TEXT NOT NULL);
  CREATE TABLE accounts (id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, body BLOB NOT NULL);
  CREATE INDEX accounts_by_mark ON accounts (mark);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE documents (id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, body BLOB NOT NULL);
`;

export interface Sums {
  rows: number;
  sum: number;
}

export type State = Record<Table, Sums>;

const EMPTY: State = {
  accounts: { rows: 0, sum: 0 },
  orders: { rows: 0, sum: 0 },
  documents: { rows: 0, sum: 0 },
};

/** Gives SQL the function `body(mark, length)`. */
export function addBodyFunction(database: DatabaseSync): void {
  database.function('body', { deterministic: true }, (mark, length) => bodyOf(Number(mark), Number(length)));
}

export function bodyOf(mark: number, lengthBytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(lengthBytes / 4));
  let word = mark >>> 0;
  for (let i = 0; i < words.length; i++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = word;
  }
  return new Uint8Array(words.buffer, 0, lengthBytes);
}

/** Sums over the rows whose id lies in a range. */
export function sumsOf(
  database: DatabaseSync,
  table: Table,
  from: number = 0,
  through: number = Number.MAX_SAFE_INTEGER,
): Sums {
  const row = database
    .prepare(
      `SELECT count(*) AS rows, coalesce(sum(${ROW_SUM}), 0) AS sum FROM ${table} WHERE id BETWEEN ? AND ?`,
    )
    .get(from, through) as unknown as Sums;
  return { rows: row.rows, sum: row.sum };
}

export function readLedger(database: DatabaseSync): State {
  return Object.fromEntries(TABLES.map((table) => [table, sumsOf(database, table)])) as State;
}

export function stateText(state: State): string {
  return TABLES.map((table) => `${table}=${state[table].rows}:${state[table].sum}`).join(' ');
}

/** The reverse of `stateText`; the empty text is that of an empty ledger. */
export function parseState(text: string): State {
  const sums = text.split(' ').map((part) => /=(\d+):(\d+)$/.exec(part));
  const of = (place: number): Sums => ({
    rows: Number(sums[place]?.[1] ?? 0),
    sum: Number(sums[place]?.[2] ?? 0),
  });
  return { accounts: of(0), orders: of(1), documents: of(2) };
}

export function digestOf(previous: string, seq: number, state: string): string {
  return createHash('sha256').update(`${previous}|${seq}|${state}`).digest('hex');
}

export interface HistoryRow {
  readonly seq: number;
  readonly state: string;
  readonly digest: string;
}

export function lastHistory(database: DatabaseSync): HistoryRow {
  const row = database.prepare('SELECT seq, state, digest FROM history ORDER BY seq DESC LIMIT 1').get();
  return (row as unknown as HistoryRow | undefined) ?? { seq: 0, state: '', digest: CHAIN_START };
}

/**
 * Everything that is wrong with a copy, judged by itself; empty for a state that was once committed.
 *
 * @param database - has `body` (see `addBodyFunction`)
 */
export function findFaults(database: DatabaseSync): string[] {
  const tables = database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table'").get();
  if ((tables as { n: number }).n === 0) return [];
  const faults: string[] = [];
  const history = database
    .prepare('SELECT seq, state, digest FROM history ORDER BY seq')
    .all() as unknown as HistoryRow[];
  let digest = CHAIN_START;
  for (const [place, row] of history.entries()) {
    if (row.seq !== place + 1) return [...faults, `history has ${row.seq} where ${place + 1} was expected`];
    digest = digestOf(digest, row.seq, row.state);
    if (row.digest !== digest) return [...faults, `the digest of transaction ${row.seq} does not follow`];
  }
  const present = stateText(readLedger(database));
  const expected = history.at(-1)?.state ?? stateText(EMPTY);
  if (present !== expected)
    faults.push(`the tables hold ${present}, but history says ${expected} at ${history.length}`);
  for (const table of TABLES) {
    const wrong = database
      .prepare(`SELECT count(*) AS n FROM ${table} WHERE body IS NOT body(mark, length(body))`)
      .get() as { n: number };
    if (wrong.n > 0)
      faults.push(`${wrong.n} rows of ${table} have a body that does not follow from the mark`);
  }
  return faults;
}
