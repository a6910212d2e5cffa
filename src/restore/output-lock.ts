/**
 * Two restores to one output must not mix, and a killed one must not block the next. Node.js has no file locks, but
 * SQLite does: an exclusive transaction on a scratch database holds a lock that the system drops with the process.
 */
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { RivuletError, systemCode } from '../base/errors.ts';

const ATTEMPTS_MAX = 10;
const SQLITE_BUSY = 5;

/** Makes the file if need be; its inode tells it from one that takes its place later. */
function lockInode(path: string): number {
  try {
    // Never opened while it exists: closing any descriptor would drop a lock that this process holds on it.
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  return statSync(path).ino;
}

function isStill(path: string, inode: number): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === inode;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

function openLocked(path: string, outputPath: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw error;
    throw new RivuletError('OUTPUT_EXISTS', `another restore to ${outputPath} is under way`, {
      cause: error,
    });
  }
}

/**
 * Takes the lock, or throws `OUTPUT_EXISTS` at once when another restore holds it.
 *
 * @returns what releases it and removes its file
 */
export function lockOutput(path: string, outputPath: string): Disposable {
  for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts += 1) {
    const inode = lockInode(path);
    const database = openLocked(path, outputPath);
    // The one before us may have removed the file between our look and our lock: then this lock guards nothing.
    if (isStill(path, inode)) {
      return {
        [Symbol.dispose]: () => {
          rmSync(path, { force: true });
          database.close();
        },
      };
    }
    database.close();
  }
  throw new RivuletError('OUTPUT_EXISTS', `other restores to ${outputPath} come and go; try again`);
}
