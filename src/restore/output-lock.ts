/**
 * Two restores to one output must not mix, and a killed one must not block the next. Node.js has no file locks, but
 * SQLite does: an exclusive transaction on a scratch database holds a lock that the system drops with the process.
 */
import { closeSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { NEW_FILE } from '../base/directory-handle.ts';
import { RivuletError, systemCode } from '../base/errors.ts';

const ATTEMPTS_MAX = 10;
const SQLITE_BUSY = 5;
const SQLITE_CANTOPEN = 14;
const NO_INODE = -1;

/** How the file is named, and how it is reached: `directory-handle.ts` tells why that may differ. */
interface LockPlace {
  readonly path: string;
  readonly entry: string;
}

/** Makes the file if need be; its inode tells it from one that takes its place later. */
function lockInode({ path, entry }: LockPlace): number {
  try {
    // Never opened while it exists: closing any descriptor would drop a lock that this process holds on it.
    closeSync(openSync(entry, NEW_FILE, 0o600));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  const stats = lstatSync(entry, { throwIfNoEntry: false });
  // Removed this moment by who held it: another attempt makes it anew.
  if (stats === undefined) return NO_INODE;
  if (stats.isFile() && stats.size === 0) return stats.ino;
  throw new RivuletError('OUTPUT_EXISTS', `${path} is not the lock of a restore: that is an empty file`, {
    hint: 'Move it away, or give another output path.',
    details: { path },
  });
}

function isStill({ entry }: LockPlace, inode: number): boolean {
  return lstatSync(entry, { throwIfNoEntry: false })?.ino === inode;
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_CANTOPEN;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/** @returns undefined when the file is not there any more */
function openLocked(path: string, outputPath: string): DatabaseSync | undefined {
  // SQLite opens by path, so it must never make a file: where a directory was exchanged that would be elsewhere.
  const url = pathToFileURL(path);
  url.searchParams.set('mode', 'rw');
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(url, { timeout: 0 });
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
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
 * @param entry - how the file is reached; by its path when absent
 * @returns what releases it and removes its file
 */
export function lockOutput(path: string, outputPath: string, entry: string = path): Disposable {
  const place = { path, entry };
  for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts += 1) {
    const inode = lockInode(place);
    if (inode === NO_INODE) continue;
    const database = openLocked(path, outputPath);
    // The one before us may have removed the file between our look and our lock: then this lock guards nothing.
    if (database !== undefined && isStill(place, inode)) {
      return {
        [Symbol.dispose]: () => {
          if (isStill(place, inode)) unlinkSync(entry);
          database.close();
        },
      };
    }
    database?.close();
  }
  throw new RivuletError('OUTPUT_EXISTS', `other restores to ${outputPath} come and go; try again`);
}
