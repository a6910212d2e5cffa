import type { SftpConnection } from './connection.ts';
import { folderOf } from './paths.ts';
import { statusOf } from './status.ts';

/**
 * Makes a folder and the parents it lacks, from below: in a chroot, those above may not be ours to touch. One that
 * exists is left as it is.
 */
export async function makeFolder(connection: SftpConnection, path: string): Promise<void> {
  try {
    await connection.makeFolder(path);
  } catch (error) {
    const parent = folderOf(path);
    if (statusOf(error) === 'NO_SUCH_FILE' && parent !== path) {
      await makeFolder(connection, parent);
      return makeLast(connection, path);
    }
    // "Failure" is all that many servers say to a name that is taken.
    if (!(await isFolder(connection, path))) throw error;
  }
}

/** After the parents were made: somebody else may have made this one by now. */
async function makeLast(connection: SftpConnection, path: string): Promise<void> {
  try {
    await connection.makeFolder(path);
  } catch (error) {
    if (!(await isFolder(connection, path))) throw error;
  }
}

async function isFolder(connection: SftpConnection, path: string): Promise<boolean> {
  try {
    return (await connection.factsOf(path, true)).kind === 'folder';
  } catch (error) {
    if (statusOf(error) === undefined) throw error;
    return false;
  }
}

/** Removes a folder that is empty, then its parents that became so, up to `root`, which stays. */
export async function removeEmptyFolders(
  connection: SftpConnection,
  path: string,
  root: string,
): Promise<void> {
  for (let at = path; at !== root && at !== folderOf(at); at = folderOf(at)) {
    try {
      await connection.removeFolder(at);
    } catch (error) {
      if (statusOf(error) === undefined) throw error;
      // Not empty is the usual end; that an empty folder stays for another reason harms nobody.
      if (statusOf(error) !== 'NO_SUCH_FILE') return;
    }
  }
}

/**
 * Whether there is truly nothing at `path`: the nearest thing above that exists is a folder to be absent from. A path
 * that ends in nothing because a link on it leads nowhere (a disk that is not mounted) is a failure, for an
 * empty replica is something that is acted upon.
 */
export async function isReallyAbsent(connection: SftpConnection, path: string): Promise<boolean> {
  for (let at = path; ; at = folderOf(at)) {
    const facts = await unlessAbsent(connection.factsOf(at, false));
    if (facts === undefined) {
      if (folderOf(at) === at) return false;
      continue;
    }
    return facts.kind === 'folder' || (facts.kind === 'link' && (await isFolder(connection, at)));
  }
}

/** What `looking` finds; undefined when there is nothing. */
export async function unlessAbsent<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (statusOf(error) === 'NO_SUCH_FILE') return undefined;
    throw error;
  }
}
