/**
 * At most one Rivulet process for one database: an exclusive lock on a tiny SQLite file in the state directory.
 * The operating system lets go of it when the process dies, however it dies.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { isRivuletError, messageOf, RivuletError, systemCode } from '../base/errors.ts';
import { type Files, NotOwnFile } from '../base/files.ts';
import { isBusy } from './connections.ts';

export interface InstanceLock {
  release(): void;
}

const FILE_MODE = 0o600;

/**
 * @param directory - the state directory
 * @param files - how its entries are reached
 * @throws RivuletError `DB_IN_USE` when another process holds the lock, `STATE_INVALID`
 */
export function takeInstanceLock(directory: string, files: Files, databasePath: string): InstanceLock {
  const path = join(directory, 'lock');
  let connection: DatabaseSync | undefined;
  try {
    const inode = makeLockFile(path, files);
    // SQLite opens by path, so it must never make a file: where the directory was exchanged that would be elsewhere.
    const url = pathToFileURL(path);
    url.searchParams.set('mode', 'rw');
    connection = new DatabaseSync(url, { timeout: 0 });
    connection.exec('BEGIN EXCLUSIVE');
    if (files.lstat(path)?.inode !== inode) throw new Error('its lock file was replaced meanwhile');
  } catch (error) {
    connection?.close();
    if (isBusy(error)) {
      throw new RivuletError('DB_IN_USE', `${databasePath} is being replicated by another process already`, {
        cause: error,
        hint: 'Stop the other one first, or give this one its own meta-path if that is truly another database.',
      });
    }
    throw isRivuletError(error) ? error : stateUnusable(directory, error);
  }
  const held = connection;
  return { release: () => held.close() };
}

/**
 * Never opens the file while it exists: closing any descriptor would drop a lock that this process holds on it.
 *
 * @returns its inode
 */
function makeLockFile(path: string, files: Files): string {
  try {
    files.close(files.createNew(path, FILE_MODE));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  const facts = files.lstat(path);
  if (facts?.kind !== 'file') throw new NotOwnFile(path);
  return facts.inode;
}

export function stateUnusable(directory: string, error: unknown, hint?: string): RivuletError {
  const problem = `the state directory ${directory} cannot be used: ${messageOf(error)}`;
  return new RivuletError('STATE_INVALID', problem, {
    cause: error,
    hint:
      hint ?? 'Rivulet must be able to write there; meta-path in the configuration names another directory.',
  });
}
