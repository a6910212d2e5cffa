/**
 * Switches a database from a rollback journal to WAL mode. The mode is kept in the database's header and so holds for every program: it
 * is switched only where WAL mode works, and taken back where it turns out that it does not.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import { makeScratchDirectory, type ScratchDirectory } from '../base/private-directory.ts';
import { openAnySchema } from './any-schema.ts';
import { realPathOf } from './database-file.ts';
import { assertSidecars, makeSidecars } from './sidecars.ts';

const TRIAL_PREFIX = '.rivulet-trial-';
const TRIAL_MODE = 0o600;

const NO_WAL_HINT =
  'WAL mode needs shared memory, which in-memory, read-only and some network file systems do not have. Move the database to a local disk.';

/**
 * @param connection - may write, and has no transaction open
 * @returns whether the mode had to be switched
 * @throws RivuletError `DB_UNREADABLE` when WAL mode does not work there, or the application could not open the database any more; then
 *   the mode is as before. What SQLite throws
 */
export function requireWalMode(connection: DatabaseSync, path: string): boolean {
  const before = journalMode(connection, 'PRAGMA journal_mode');
  if (before === 'wal') return false;
  assertSidecars(path);
  tryWalModeBeside(path);
  const after = journalMode(connection, 'PRAGMA journal_mode=wal');
  if (after !== 'wal') {
    throw cannotSwitch(path, `the database stays in "${String(after)}"`);
  }
  try {
    makeSidecars(path);
    useOnce(connection);
  } catch (error) {
    connection.close();
    takeBack(path);
    throw isRivuletError(error) ? error : cannotSwitch(path, messageOf(error), error);
  }
  return true;
}

function journalMode(connection: DatabaseSync, sql: string): unknown {
  return connection.prepare(sql).get()?.['journal_mode'];
}

/** What a reader and a writer do first. */
function useOnce(connection: DatabaseSync): void {
  connection.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get();
  connection.exec('BEGIN IMMEDIATE; ROLLBACK');
}

/**
 * Tries it on a database of our own in the same directory; nothing of it stays.
 *
 * @throws RivuletError `DB_UNREADABLE` when WAL mode does not work there
 */
export function tryWalModeBeside(path: string): void {
  const scratch = makeTrialDirectory(path);
  // SQLite opens it by path. Nobody can have made a file of that name elsewhere.
  const trial = join(scratch.path, `${randomBytes(8).toString('hex')}.db`);
  try {
    scratch.files.close(scratch.files.createNew(trial, TRIAL_MODE));
    const url = pathToFileURL(trial);
    url.searchParams.set('mode', 'rw');
    const connection = openAnySchema(url, {});
    try {
      const mode = journalMode(connection, 'PRAGMA journal_mode=wal');
      if (mode !== 'wal') throw new Error(`a database stays in "${String(mode)}" there`);
      useOnce(connection);
    } finally {
      connection.close();
    }
  } catch (error) {
    throw cannotSwitch(path, messageOf(error), error);
  } finally {
    scratch.remove();
  }
}

function makeTrialDirectory(path: string): ScratchDirectory {
  const directory = dirname(realPathOf(path));
  try {
    return makeScratchDirectory(directory, TRIAL_PREFIX);
  } catch (error) {
    throw new RivuletError('DB_UNREADABLE', `${directory} cannot be written: ${messageOf(error)}`, {
      cause: error,
      hint: 'SQLite makes files beside a database while it is open. Run Rivulet as the user of the application.',
    });
  }
}

/** With an exclusive lock SQLite needs no shared memory for it. */
function takeBack(path: string): void {
  const connection = openAnySchema(path, {});
  try {
    connection.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE');
  } catch (error) {
    const message = `${path} was switched to WAL mode, which does not work there, and cannot be switched back: ${messageOf(error)}`;
    throw new RivuletError('DB_UNREADABLE', message, {
      cause: error,
      hint: 'Stop the application, and run: sqlite3 FILE "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE"',
    });
  } finally {
    connection.close();
  }
}

function cannotSwitch(path: string, why: string, cause?: unknown): RivuletError {
  return new RivuletError('DB_UNREADABLE', `${path} cannot be switched to WAL mode: ${why}`, {
    cause,
    hint: NO_WAL_HINT,
  });
}
