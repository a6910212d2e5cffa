/** What a refusal means for a call. */
import type { RivuletError } from '../../base/errors.ts';
import { objectNotFound, storageFailed } from '../storage-error.ts';
import type { SftpConnection } from './connection.ts';
import { SftpStatus, statusOf } from './status.ts';

/** An object's place: the path for the server, the rest for messages. */
export interface SftpPlace {
  readonly path: string;
  readonly key: string;
  readonly location: string;
}

/** Less than this is full: no piece of an object fits. */
const FULL_BELOW_BYTES = 64 * 1024;

const DENIED =
  'The user of the SFTP server may not do this: look at owner and mode of the folder there. In a chroot, the path begins at the chroot.';
const FAILED =
  'Look at the disk, the quota and the log of the SFTP server: the protocol has no word for what went wrong.';

/** @param action - what failed, as in "cannot write". Anything but a refusal is handed back as it is. */
export function requestFailed(action: string, path: string, location: string, error: unknown): unknown {
  if (!(error instanceof SftpStatus)) return error;
  const what = `cannot ${action} ${path} at ${location}`;
  const facts = { cause: error, details: { path, status: error.status } };
  if (error.status === 'PERMISSION_DENIED') {
    return storageFailed(`${what}: permission denied`, {
      ...facts,
      code: 'STORAGE_DENIED',
      retry: false,
      hint: DENIED,
    });
  }
  if (error.status === 'FAILURE') {
    const message = `${what}: the server says no more than "${error.message}"`;
    return storageFailed(message, { ...facts, retry: true, hint: FAILED });
  }
  const retry = error.status === 'NO_CONNECTION' || error.status === 'CONNECTION_LOST';
  return storageFailed(`${what}: ${error.message}`, { ...facts, retry });
}

/** What a refusal to open an object for reading means. */
export function notReadable(place: SftpPlace, error: unknown): unknown {
  if (statusOf(error) === 'NO_SUCH_FILE') return objectNotFound(place.location, place.key, error);
  return requestFailed('read', place.path, place.location, error);
}

/** As `requestFailed`, but asks first whether the disk is full: for that, too, the protocol has only "Failure". */
export async function writeFailed(
  connection: SftpConnection,
  action: string,
  path: string,
  folder: string,
  location: string,
  error: unknown,
): Promise<unknown> {
  if (statusOf(error) !== 'FAILURE' || !(await isFull(connection, folder))) {
    return requestFailed(action, path, location, error);
  }
  return diskFull(action, path, location, error);
}

function diskFull(action: string, path: string, location: string, cause: unknown): RivuletError {
  return storageFailed(`cannot ${action} ${path} at ${location}: the disk of the server is full`, {
    retry: false,
    cause,
    details: { path, status: 'FAILURE', diskFull: true },
    hint: 'Free some space on the server, or shorten the retention; replication goes on by itself then.',
  });
}

async function isFull(connection: SftpConnection, folder: string): Promise<boolean> {
  try {
    const { freeBytes, freeFiles } = await connection.diskSpace(folder);
    return freeBytes < FULL_BELOW_BYTES || freeFiles === 0;
  } catch {
    // A server that cannot say leaves it at "Failure".
    return false;
  }
}
