/**
 * A place for a copy that nobody needs afterwards: a private directory with a random name, so that several commands do not meet. A
 * lock in it is held as long as the command lives, by which the next command knows what killed ones have left.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isRivuletError, systemCode } from '../base/errors.ts';
import { makeScratchDirectory, openScratchDirectory } from '../base/private-directory.ts';
import { lockOutput } from './output-lock.ts';

const LOCK = 'lock';
/** Another command may look at the lock in the moment between its making and its taking. */
const ATTEMPTS_MAX = 5;
/** A directory without a lock is about to have one, or was made by an earlier version that is over by then. */
const UNLOCKED_MAX_MS = 24 * 3_600_000;

export interface ScratchCopy extends Disposable {
  /** Of the copy, which is not there yet. */
  readonly path: string;
}

/**
 * Makes the place in `parent`, after what killed commands have left there is removed.
 *
 * @param prefix - of the directory's name
 * @throws what the file system does
 */
export function makeScratchCopy(parent: string, prefix: string, nowMs: number): ScratchCopy {
  removeAbandoned(parent, prefix, nowMs);
  for (let attempt = 1; ; attempt += 1) {
    const directory = makeScratchDirectory(parent, prefix);
    try {
      const lock = lockOutput(join(directory.path, LOCK), directory.path);
      const dispose = (): void => {
        directory.remove();
        lock[Symbol.dispose]();
      };
      return { path: join(directory.path, 'copy.db'), [Symbol.dispose]: dispose };
    } catch (error) {
      directory.remove();
      if (!isRivuletError(error, 'OUTPUT_EXISTS') || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

function removeAbandoned(parent: string, prefix: string, nowMs: number): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    try {
      removeIfAbandoned(join(parent, name), nowMs);
    } catch (error) {
      // In use, or another user's: whoever it belongs to removes it.
      if (!isRivuletError(error, 'OUTPUT_EXISTS') && systemCode(error) === undefined) throw error;
    }
  }
}

function removeIfAbandoned(path: string, nowMs: number): void {
  const stats = lstatSync(path);
  const isOurs = stats.isDirectory() && stats.uid === (process.geteuid?.() ?? stats.uid);
  if (!isOurs) return;
  const hasLock = lstatSync(join(path, LOCK), { throwIfNoEntry: false }) !== undefined;
  if (!hasLock && nowMs - stats.mtimeMs < UNLOCKED_MAX_MS) return;
  using _lock = lockOutput(join(path, LOCK), path);
  openScratchDirectory(path).remove();
}
