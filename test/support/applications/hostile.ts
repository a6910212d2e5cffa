/**
 * An application that does what makes a WAL hard to follow: `node hostile.ts DATABASE SETTINGS`. Commits of all sizes, rollbacks,
 * spills, savepoints, VACUUM, checkpoints in all modes, right after single commits too, closing and opening again. Several of
 * them may share a database, and any of them may be killed.
 */
import { DatabaseSync } from 'node:sqlite';
import { Random } from '../../faults/random.ts';
import { type CommandLine, commandLine, isBusy, report, rest } from './open.ts';
import type { HostileReport, HostileSettings } from './settings.ts';

/** A checkpoint may have to wait for the others; refused is refused. */
const BUSY_TIMEOUT_MS = 2_000;
const MODES = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'];

const { path, settings } = commandLine() as CommandLine<HostileSettings>;
const random = new Random(settings.seed);

function open(): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  database.exec(`PRAGMA journal_mode=wal; PRAGMA synchronous=${random.pick(['off', 'normal', 'full'])};
    PRAGMA cache_size=${random.pick([2, 10, 2000])}; PRAGMA wal_autocheckpoint=${random.pick([1, 1, 3, 50, 1000])};
    PRAGMA journal_size_limit=${random.pick([-1, 0, 20_000])};
    CREATE TABLE IF NOT EXISTS h (id INTEGER PRIMARY KEY, a REAL, b BLOB);
    CREATE INDEX IF NOT EXISTS hi ON h (a)`);
  return database;
}

let database = open();

function insert(rows: number): void {
  const statement = database.prepare('INSERT INTO h (a, b) VALUES (?, randomblob(?))');
  for (let i = 0; i < rows; i++) statement.run(random.next(), random.int(0, 2500));
}

function checkpoint(): void {
  database.exec(`PRAGMA wal_checkpoint(${random.pick(MODES)})`);
}

function transaction(): void {
  database.exec('BEGIN IMMEDIATE');
  insert(random.int(0, 250));
  database.exec('SAVEPOINT s');
  database.exec(`UPDATE h SET a = a + 1 WHERE id % ${random.int(2, 8)} = 0`);
  database.exec(random.pick(['RELEASE s', 'ROLLBACK TO s']));
  if (random.chance(0.3)) database.exec('DELETE FROM h WHERE id % 3 = 0');
  database.exec(random.pick(['COMMIT', 'COMMIT', 'ROLLBACK']));
}

function reopen(): void {
  database.close();
  database = open();
}

/** Restarts of the WAL right after single commits, several in a row. */
function restarts(): void {
  for (let left = random.int(1, 6); left > 0; left--) {
    insert(1);
    checkpoint();
  }
}

const DEEDS: Readonly<Record<string, () => void>> = {
  insert: () => insert(random.int(1, 5)),
  transaction,
  delete: () => database.exec(`DELETE FROM h WHERE id % ${random.int(2, 5)} = 0`),
  checkpoint,
  restarts,
  vacuum: () => database.exec('VACUUM'),
  table: () =>
    database.exec(
      'BEGIN IMMEDIATE; DROP TABLE IF EXISTS z; CREATE TABLE z AS SELECT * FROM h LIMIT 300; COMMIT',
    ),
  reopen,
  rest: () => rest(random.int(0, 150)),
};
const WEIGHTS: Readonly<Record<keyof typeof DEEDS, number>> = {
  insert: 30,
  transaction: 15,
  delete: 5,
  checkpoint: 10,
  restarts: 12,
  vacuum: 2,
  table: 2,
  reopen: 4,
  rest: 20,
};

const endMs = performance.now() + settings.seconds * 1000;
let [operations, refused] = [0, 0];
for (; performance.now() < endMs; operations++) {
  try {
    DEEDS[random.weighted(WEIGHTS)]?.();
  } catch (error) {
    if (!isBusy(error)) throw error;
    refused += 1;
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}
report({ operations, refused } satisfies HostileReport);
database.close();
