/** From the temporary name to the object's: in one step where the server can. */
import { objectExists } from '../storage-error.ts';
import type { SftpConnection } from './connection.ts';
import type { SftpPlace } from './failures.ts';
import { statusOf } from './status.ts';

/** @throws RivuletError `STORAGE_EXISTS` if `isNew` and there is an object; SftpStatus otherwise */
export async function giveName(
  connection: SftpConnection,
  temporary: string,
  place: SftpPlace,
  isNew: boolean,
): Promise<void> {
  if (isNew) await asNew(connection, temporary, place);
  else await replacing(connection, temporary, place.path);
}

/**
 * A link is refused by a name that is taken, without a race, on every server that knows the word. Rename is on
 * OpenSSH, but some other servers replace what is there. So it comes second, after a look: for file systems
 * without links, and servers that are not asked for them.
 */
async function asNew(connection: SftpConnection, temporary: string, place: SftpPlace): Promise<void> {
  try {
    await connection.link(temporary, place.path);
  } catch (error) {
    await refuseTaken(connection, place, error);
    try {
      return await connection.rename(temporary, place.path);
    } catch (failure) {
      await refuseTaken(connection, place, failure);
      throw failure;
    }
  }
  // The object is there; a temporary name that stays is removed with others some day.
  await connection.removeFile(temporary).catch(() => undefined);
}

/** "Failure" is all that a server says to a name that is taken, and to much else. */
async function refuseTaken(connection: SftpConnection, place: SftpPlace, error: unknown): Promise<void> {
  if (statusOf(error) === undefined) throw error;
  if (await exists(connection, place.path)) throw objectExists(place.location, place.key, error);
}

/** Without the extension there is a moment in which neither the old object nor the new one has the name. */
async function replacing(connection: SftpConnection, temporary: string, path: string): Promise<void> {
  try {
    return await connection.renameOver(temporary, path);
  } catch (error) {
    if (statusOf(error) !== 'UNSUPPORTED') throw error;
  }
  try {
    return await connection.rename(temporary, path);
  } catch (error) {
    if (statusOf(error) === undefined || !(await exists(connection, path))) throw error;
  }
  await connection.removeFile(path);
  await connection.rename(temporary, path);
}

async function exists(connection: SftpConnection, path: string): Promise<boolean> {
  try {
    await connection.factsOf(path, false);
    return true;
  } catch (error) {
    if (statusOf(error) === undefined) throw error;
    return false;
  }
}
