import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { prepareEvents, RowMaker } from './rows.ts';

const ROWS_PER_TRANSACTION = 5000;

/** Makes a database of about `megabytes` with rows of 100 to 2,000 bytes; its log is empty at the end. */
export function makeDatabase(path: string, megabytes: number): void {
  const database = new DatabaseSync(path);
  const insert = prepareEvents(database);
  const rows = new RowMaker(1);
  // Making every byte anew would take minutes: the same rows come again, further apart than any compressor looks.
  const stock = Array.from({ length: 20_000 }, (_, i) => rows.next(100 + ((i * 7919) % 1900)));
  for (let done = 0; statSync(path).size < megabytes * 1e6;) {
    database.exec('BEGIN');
    for (let i = 0; i < ROWS_PER_TRANSACTION; i++, done++) insert.run(...(stock[done % stock.length] ?? []));
    database.exec('COMMIT');
    database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}
