/**
 * An application that commits at a fixed rate: `node paced-writer.ts DB COMMITS_PER_SECOND SECONDS`. Prints the time
 * that each commit took, in microseconds, as JSON. It follows an absolute schedule: a slow commit does not make
 * the load smaller.
 */
import { DatabaseSync } from 'node:sqlite';
import { prepareEvents, RowMaker } from './rows.ts';

const ROW_BYTES = 300;
/** Commits before the measurement, so that code is compiled and caches are warm. */
const WARM_UP = 500;

const [path = '', rate = '', seconds = ''] = process.argv.slice(2);
const database = new DatabaseSync(path);
const insert = prepareEvents(database);
const rows = new RowMaker(3);
const spacingMs = 1000 / Number(rate);
const count = Math.floor(Number(rate) * Number(seconds));
const cell = new Int32Array(new SharedArrayBuffer(4));
const micros = new Uint32Array(count);
const startMs = performance.now() + 10;

for (let i = -WARM_UP; i < count; i++) {
  const row = rows.next(ROW_BYTES);
  const waitMs = startMs + (i + WARM_UP) * spacingMs - performance.now();
  if (waitMs > 0) Atomics.wait(cell, 0, 0, waitMs);
  const beforeMs = performance.now();
  insert.run(...row);
  if (i >= 0) micros[i] = Math.round((performance.now() - beforeMs) * 1000);
}
process.stdout.write(`${JSON.stringify([...micros])}\n`);
database.close();
