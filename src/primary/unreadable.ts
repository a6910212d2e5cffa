/** What is thrown when the system refuses to read a file that the engine needs. */
import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import { systemHint } from '../base/system-hint.ts';

const DENIED: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);
const DENIED_HINT = 'Rivulet needs to read and write the database, its -wal and -shm, and their directory.';

/** @param path - the database or its write-ahead log */
export function unreadable(path: string, error: unknown): RivuletError {
  const hint = DENIED.has(systemCode(error) ?? '') ? DENIED_HINT : systemHint(error);
  return new RivuletError('DB_UNREADABLE', `${path} cannot be read: ${messageOf(error)}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** @param path - a file in the state directory */
export function unreadableState(path: string, error: unknown): RivuletError {
  const hint = systemHint(error);
  return new RivuletError('STATE_INVALID', `${path} cannot be read: ${messageOf(error)}`, {
    cause: error,
    hint: `${hint === undefined ? '' : `${hint} `}Without this file a new snapshot is taken.`,
  });
}
