/**
 * `-wal` and `-shm` beside a database, before SQLite makes them. SQLite gives them the mode of the database, and its owner only as root. Made by
 * another user than the application's they would belong to that user and its primary group, and the application could not open
 * its own database any more. So they are made here, with the database's group; where that may not be done, nothing is opened.
 */
import { accessSync, constants, lstatSync, type Stats, statSync } from 'node:fs';
import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import {
  isSharedByDefault,
  makeSharedFile,
  OwnerLockedOut,
  ownRights,
  type Rights,
  shareFile,
} from '../base/shared-file.ts';
import { realPathOf } from './database-file.ts';
import { unreadable } from './unreadable.ts';

const SIDECARS = ['-wal', '-shm'];

/**
 * To be called before each opening, when the database is in WAL mode: makes what is missing, and heals what an earlier run has made
 * for itself alone.
 *
 * @throws RivuletError `DB_UNREADABLE` when the database cannot be written, or its application would be locked out; nothing is made then
 */
export function makeSidecars(databasePath: string): void {
  withSidecars(databasePath, (path, model, rights) => {
    if (isThere(path)) {
      assertWritable(path);
      shareFile(path, model, rights);
    } else if (!isSharedByDefault(model, rights)) {
      makeSharedFile(path, model, rights);
    }
  });
}

/**
 * Whether `makeSidecars` would do; makes nothing. Beside a database that is not in WAL mode yet an empty `-wal` would mean that it is.
 *
 * @throws RivuletError as `makeSidecars`
 */
export function assertSidecars(databasePath: string): void {
  withSidecars(databasePath, (path, model, rights) => {
    if (isThere(path)) assertWritable(path);
    else if (!isSharedByDefault(model, rights)) makeSharedFile(path, model, rights, { isTrial: true });
  });
}

function withSidecars(
  databasePath: string,
  work: (path: string, model: Stats, rights: Rights) => void,
): void {
  assertWritable(databasePath);
  const rights = ownRights();
  if (rights === undefined) return;
  const real = realPathOf(databasePath);
  for (const path of SIDECARS.map((suffix) => `${real}${suffix}`)) {
    try {
      work(path, statSync(real), rights);
    } catch (error) {
      throw error instanceof OwnerLockedOut ? lockedOut(path, error) : explained(path, error);
    }
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function assertWritable(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw new RivuletError('DB_UNREADABLE', `${path} cannot be read and written: ${messageOf(error)}`, {
      cause: error,
      hint:
        'SQLite needs both, also to read a database in WAL mode. Run Rivulet as the user of the application, or give its group ' +
        'the right to write.',
    });
  }
}

function lockedOut(path: string, cause: OwnerLockedOut): RivuletError {
  return new RivuletError('DB_UNREADABLE', `${path} would lock the application out: ${cause.message}`, {
    cause,
    hint:
      "Run Rivulet as the user of the application, or make its user a member of the database's group (as root: allow it to change " +
      'owners, CAP_CHOWN).',
  });
}

function explained(path: string, error: unknown): RivuletError {
  return error instanceof RivuletError ? error : unreadable(path, error);
}
