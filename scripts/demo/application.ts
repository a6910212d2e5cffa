/**
 * The application of the demo: a small shop, in a process of its own, which knows nothing of Rivulet. It takes orders
 * in transactions, changes older rows, now and then imports many rows at once, and checkpoints on its own like any
 * application with SQLite's defaults. `node application.ts DATABASE`, forked; it ends with whoever forked it.
 */
import { DatabaseSync } from 'node:sqlite';

export type ToApplication = 'pause' | 'resume';

export interface FromApplication {
  readonly transactions: number;
  readonly rows: number;
  readonly paused: boolean;
}

const CUSTOMERS = 2_000;
const TRANSACTION_EVERY_MS = 20;
const REPORT_EVERY_MS = 100;
/** Each so many transactions one that is large, and a checkpoint by the application itself. */
const IMPORT_EVERY = 60;
const IMPORT_ROWS = 3_000;
const CHECKPOINT_EVERY = 90;
const STATES = ['new', 'paid', 'packed', 'sent'];
const CITIES = ['Lisboa', 'Kraków', 'Zürich', '東京', 'Reykjavík'];

const database = new DatabaseSync(process.argv[2] ?? '', { timeout: 5_000 });
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, spent_cents INTEGER NOT NULL);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers, placed_at TEXT NOT NULL,
                       state TEXT NOT NULL);
  CREATE TABLE order_lines (order_id INTEGER NOT NULL REFERENCES orders, line INTEGER NOT NULL, article TEXT NOT NULL,
                            cents INTEGER NOT NULL, PRIMARY KEY (order_id, line)) WITHOUT ROWID;
  CREATE TABLE visits (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, page TEXT NOT NULL, at REAL NOT NULL);
  CREATE INDEX orders_of_customer ON orders (customer);
`);
const addCustomer = database.prepare('INSERT INTO customers (name, city, spent_cents) VALUES (?, ?, 0)');
const addOrder = database.prepare("INSERT INTO orders (customer, placed_at, state) VALUES (?, ?, 'new')");
const addLine = database.prepare('INSERT INTO order_lines VALUES (?, ?, ?, ?)');
const addSpent = database.prepare('UPDATE customers SET spent_cents = spent_cents + ? WHERE id = ?');
const setState = database.prepare('UPDATE orders SET state = ? WHERE id = ?');
const addVisit = database.prepare('INSERT INTO visits (customer, page, at) VALUES (?, ?, ?)');

let transactions = 0;
let rows = 0;
let paused = false;

function below(bound: number): number {
  return Math.floor(Math.random() * bound);
}

/** `change` answers how many rows it wrote. */
function transact(change: () => number): void {
  database.exec('BEGIN IMMEDIATE');
  const written = change();
  database.exec('COMMIT');
  transactions += 1;
  rows += written;
}

function takeOrder(): number {
  const customer = 1 + below(CUSTOMERS);
  const order = Number(addOrder.run(customer, new Date().toISOString()).lastInsertRowid);
  const lines = 1 + below(4);
  let cents = 0;
  for (let line = 1; line <= lines; line++) {
    const price = 100 + below(10_000);
    addLine.run(order, line, `article ${below(500)}`, price);
    cents += price;
  }
  addSpent.run(cents, customer);
  setState.run(STATES[below(STATES.length)] ?? 'new', 1 + below(order));
  return lines + 3;
}

function importVisits(): number {
  for (let n = 0; n < IMPORT_ROWS; n++)
    addVisit.run(1 + below(CUSTOMERS), `/article/${below(500)}`, Date.now());
  return IMPORT_ROWS;
}

function report(): void {
  const message: FromApplication = { transactions, rows, paused };
  process.send?.(message);
}

function work(): void {
  if (paused) return;
  transact(takeOrder);
  if (transactions % IMPORT_EVERY === 0) transact(importVisits);
  if (transactions % CHECKPOINT_EVERY === 0) database.exec('PRAGMA wal_checkpoint(PASSIVE)');
}

process.on('message', (message: ToApplication) => {
  paused = message === 'pause';
  report();
});
process.on('disconnect', () => process.exit());
// Ctrl-C reaches every process of the terminal; the demo decides when this one ends.
process.on('SIGINT', () => undefined);

transact(() => {
  for (let n = 1; n <= CUSTOMERS; n++) addCustomer.run(`Customer ${n}`, CITIES[n % CITIES.length] ?? '');
  return CUSTOMERS;
});
setInterval(work, TRANSACTION_EVERY_MS);
setInterval(report, REPORT_EVERY_MS);
report();
