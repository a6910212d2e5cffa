/**
 * At most one Rivulet for one database file, under whatever name: links, hard links, other state directories. In this process two
 * followings of one file would drop each other's POSIX locks. Beside the lock of the state directory, which is found by name, this one
 * is found by device and inode.
 */
import { join } from 'node:path';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { PrivateDirectory } from '../base/private-directory.ts';
import { openRuntimeDirectory, runtimeDirectories, runtimeWorld } from '../base/runtime-directory.ts';
import type { FileIdentity } from './database-file.ts';
import { type InstanceLock, takeLock } from './instance-lock.ts';

export interface DatabaseClaim {
  /** Takes the lock again where its file was removed. @throws RivuletError `DB_IN_USE` */
  keep(): void;
  release(): void;
}

/** Of this process: what is claimed under which path. */
const claimed = new Map<string, string>();
/** Opened once; no longer there when somebody has removed it. */
let directory: PrivateDirectory | undefined;

/** @throws RivuletError `DB_IN_USE` */
export function claimDatabase(path: string, { device, inode }: FileIdentity): DatabaseClaim {
  const key = `${device}-${inode}`;
  const first = claimed.get(key);
  if (first !== undefined) {
    const message = `${path} is the same database as ${first}, which this process replicates already`;
    throw new RivuletError('DB_IN_USE', message, { hint: 'Remove one of the two from the configuration.' });
  }
  let lock = lockOf(`${key}.lock`, path);
  claimed.set(key, path);
  return {
    keep: () => {
      if (lock === undefined || isCurrent(lock)) return;
      const former = lock;
      lock = lockOf(`${key}.lock`, path);
      former.release();
    },
    release: () => {
      claimed.delete(key);
      lock?.release();
    },
  };
}

function isCurrent(lock: InstanceLock): boolean {
  try {
    return lock.isCurrent();
  } catch {
    // Its directory is gone, too.
    return false;
  }
}

/** Undefined where there is no place for it: then the lock of the state directory alone keeps others out. */
function lockOf(name: string, databasePath: string): InstanceLock | undefined {
  // The last one first: a process whose environment is another one looks there, too.
  for (const place of runtimeDirectories(runtimeWorld()).toReversed()) {
    try {
      directory = present(place);
      return takeLock(join(place, name), directory.files, databasePath, { isRemoved: true });
    } catch (error) {
      if (isRivuletError(error, 'DB_IN_USE')) throw error;
    }
  }
  return undefined;
}

function present(place: string): PrivateDirectory {
  if (directory?.path === place && directory.isCurrent()) return directory;
  directory?.close();
  directory = undefined;
  return openRuntimeDirectory(place);
}
