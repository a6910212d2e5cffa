/**
 * An application that reads and then writes in one plain transaction: `node reading-then-writing.ts DATABASE SETTINGS`.
 * SQLite calls no busy handler when a read transaction becomes a write transaction, so any other process that has the
 * write lock at that moment, or has committed since, is a "database is locked" at once, whatever the busy timeout. An application
 * that is alone never sees one.
 */
import { type CommandLine, commandLine, isBusy, openApplication, report, rest } from './open.ts';
import type { ReadingThenWritingReport, ReadingThenWritingSettings } from './settings.ts';

/** Before the next transaction after a failed one, as little as an application takes to answer with an error. */
const RETRY_MS = 1;

const { path, settings } = commandLine() as CommandLine<ReadingThenWritingSettings>;
const { database, insert } = openApplication(path, settings);
const read = database.prepare('SELECT max(id) AS last FROM rows');
const startMs = performance.now();
const endMs = startMs + settings.seconds * 1000;
let [transactions, locked] = [0, 0];

for (; performance.now() < endMs; transactions++) {
  if (settings.perSecond > 0) rest(startMs + (transactions * 1000) / settings.perSecond - performance.now());
  try {
    database.exec('BEGIN');
    read.get();
    rest(settings.thinkMs);
    insert.run(transactions, settings.rowBytes);
    database.exec('COMMIT');
  } catch (error) {
    if (!isBusy(error)) throw error;
    locked += 1;
    if (database.isTransaction) database.exec('ROLLBACK');
    rest(RETRY_MS);
  }
}
report({ transactions, locked } satisfies ReadingThenWritingReport);
database.close();
