/**
 * At most one Rivulet process for one database: an exclusive lock on a tiny SQLite file in the state directory.
 * The operating system lets go of it when the process dies, however it dies.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf, RivuletError } from '../base/errors.ts';
import { isBusy } from './connections.ts';

export interface InstanceLock {
  release(): void;
}

/**
 * @param directory - the database's state directory; made when it is not there
 * @throws RivuletError `DB_IN_USE` when another process holds the lock
 */
export function takeInstanceLock(directory: string, databasePath: string): InstanceLock {
  let connection: DatabaseSync | undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    connection = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
    connection.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    connection?.close();
    if (isBusy(error)) {
      throw new RivuletError('DB_IN_USE', `${databasePath} is being replicated by another process already`, {
        cause: error,
        hint: 'Stop the other one first, or give this one its own meta-path if that is truly another database.',
      });
    }
    throw new RivuletError(
      'STATE_INVALID',
      `the state directory ${directory} cannot be used: ${messageOf(error)}`,
      {
        cause: error,
        hint: 'Rivulet must be able to write there; meta-path in the configuration names another directory.',
      },
    );
  }
  const held = connection;
  return { release: () => held.close() };
}
