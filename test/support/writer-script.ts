/**
 * An application that writes as fast as it can: `writer-script.ts DATABASE AUTOCHECKPOINT_PAGES`. Each line on stdin is
 * answered: `go MS` writes for so long, `sql TEXT` runs it; each commit inserts one row with the next number.
 */
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';

const [path = '', pages = '1000'] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 10_000 });
database.exec(`PRAGMA journal_mode=wal; PRAGMA synchronous=off; PRAGMA wal_autocheckpoint=${pages}`);
database.exec('CREATE TABLE IF NOT EXISTS counted (n INTEGER PRIMARY KEY, body BLOB)');
const insert = database.prepare('INSERT INTO counted (body) VALUES (randomblob(abs(random() % 900)))');

/** Writes for `ms` milliseconds and answers with the number of commits. */
function write(ms: number): number {
  const endMs = performance.now() + ms;
  let commits = 0;
  for (; performance.now() < endMs; commits++) insert.run();
  return commits;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, ...rest] = line.split(' ');
  if (word === 'sql') {
    console.log(JSON.stringify(database.prepare(rest.join(' ')).all()));
  } else {
    console.log(write(Number(rest[0])));
  }
});
console.log('ready');
