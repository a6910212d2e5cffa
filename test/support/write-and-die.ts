/** `node write-and-die.ts DATABASE ROWS`: commits rows one by one and dies like `kill -9`, so that the log stays. */
import { DatabaseSync } from 'node:sqlite';

const [, , path = '', rows = '1'] = process.argv;
const database = new DatabaseSync(path, { timeout: 10_000 });
database.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x TEXT)');
const insert = database.prepare('INSERT INTO t VALUES (hex(randomblob(300)))');
for (let row = 0; row < Number(rows); row++) insert.run();
process.kill(process.pid, 'SIGKILL');
