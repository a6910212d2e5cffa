/** A second connection that holds read transactions open: `node reader.ts PATH SEED`. */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from './random.ts';

const [path, seed] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: node reader.ts PATH SEED');
const random = new Random(Number(seed));
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());

while (!ending.signal.aborted) {
  try {
    using database = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
    database.exec('BEGIN');
    const count = database.prepare('SELECT count(*) AS n FROM history');
    const before = count.get() as { n: number };
    await sleep(random.int(20, 900));
    const after = count.get() as { n: number };
    if (before.n !== after.n) throw new Error('a read transaction saw a change');
    database.exec('COMMIT');
  } catch (error) {
    // The database may be missing, in rollback mode or busy for a moment.
    if (!(error instanceof Error) || !('errcode' in error)) throw error;
  }
  await sleep(random.int(5, 300));
}
