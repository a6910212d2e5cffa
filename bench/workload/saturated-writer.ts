/**
 * An application that commits as fast as it can: `node saturated-writer.ts DB SECONDS [ROW_BYTES]`, one row of about
 * 300 bytes, or as many as said, in each transaction. Prints how many commits there were.
 */
import { DatabaseSync } from 'node:sqlite';
import { prepareEvents, RowMaker } from './rows.ts';

const ROW_BYTES = 300;

const [path = '', seconds = '', rowBytes = ROW_BYTES] = process.argv.slice(2);
const database = new DatabaseSync(path);
const insert = prepareEvents(database);
const rows = new RowMaker(4);
const stock = Array.from({ length: 5000 }, () => rows.next(Number(rowBytes)));
const endMs = performance.now() + 1000 * Number(seconds);

let commits = 0;
for (; performance.now() < endMs; commits++) insert.run(...(stock[commits % stock.length] ?? []));
process.stdout.write(`${JSON.stringify({ commits })}\n`);
database.close();
