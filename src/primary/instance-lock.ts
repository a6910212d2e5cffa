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
  /** Whether its file is still the one of that name, where others look. */
  isCurrent(): boolean;
  release(): void;
}

export interface LockOptions {
  /** Whether the file goes when the lock is released. */
  readonly isRemoved?: boolean;
}

const FILE_MODE = 0o600;
/** Whoever removes the file while it is taken does so at the end of a process, not many times in a row. */
const TAKE_ATTEMPTS = 5;

/**
 * @param directory - the state directory
 * @param files - how its entries are reached
 * @throws RivuletError `DB_IN_USE` when another process holds the lock, `STATE_INVALID`
 */
export function takeInstanceLock(directory: string, files: Files, databasePath: string): InstanceLock {
  try {
    return takeLock(join(directory, 'lock'), files, databasePath);
  } catch (error) {
    throw isRivuletError(error) ? error : stateUnusable(directory, error);
  }
}

/** @throws RivuletError `DB_IN_USE` when another process holds the lock; what the file system does */
export function takeLock(
  path: string,
  files: Files,
  databasePath: string,
  options: LockOptions = {},
): InstanceLock {
  for (let attempt = 1; ; attempt++) {
    const lock = tryLock(path, files, databasePath, options);
    if (lock.isCurrent()) return lock;
    lock.release();
    if (attempt === TAKE_ATTEMPTS) throw new Error('its lock file was replaced meanwhile');
  }
}

function tryLock(
  path: string,
  files: Files,
  databasePath: string,
  { isRemoved = false }: LockOptions,
): InstanceLock {
  let connection: DatabaseSync | undefined;
  try {
    const inode = makeLockFile(path, files);
    // SQLite opens by path, so it must never make a file: where the directory was exchanged that would be elsewhere.
    const url = pathToFileURL(path);
    url.searchParams.set('mode', 'rw');
    connection = new DatabaseSync(url, { timeout: 0 });
    // Nothing is ever written, so there is nothing for a journal to undo.
    connection.exec('PRAGMA journal_mode=OFF; BEGIN EXCLUSIVE');
    const held = connection;
    const isCurrent = (): boolean => files.lstat(path)?.inode === inode;
    const release = (): void => {
      try {
        // While it is held: afterwards it may be another one's.
        if (isRemoved && isCurrent()) files.remove(path);
      } catch {
        // One that stays is an empty file.
      } finally {
        held.close();
      }
    };
    return { isCurrent, release };
  } catch (error) {
    connection?.close();
    if (!isBusy(error)) throw error;
    throw new RivuletError('DB_IN_USE', `${databasePath} is being replicated by another process already`, {
      cause: error,
      hint: 'Stop the other one first, or give this one its own meta-path if that is truly another database.',
    });
  }
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
