import type { RivuletError } from '../../base/errors.ts';
import { orAbort } from '../abandon.ts';
import { storageFailed } from '../storage-error.ts';
import { Endless, FolderBounds } from './folder-bounds.ts';
import { settleAll } from '../../base/settle-all.ts';
import type { FolderEntry, SftpConnection } from './connection.ts';
import { requestFailed } from './failures.ts';
import { isReallyAbsent, unlessAbsent } from './folders.ts';
import { inFolder } from './paths.ts';
import { SftpStatus, statusOf } from './status.ts';

/**
 * Asked for at once: an answer holds about a hundred names, and a folder may hold a hundred thousand. Servers work
 * on one folder in the order of the requests, so the last ones only hear that this was all.
 */
const PAGES_AT_ONCE = 16;

/** The entries of a folder, links looked through; none when it does not exist. */
export async function listFolder(
  connection: SftpConnection,
  path: string,
  location: string,
  signal: AbortSignal | undefined,
): Promise<FolderEntry[]> {
  try {
    const handle = await openUnlessAbsent(connection, path);
    if (handle === undefined) return [];
    try {
      return await lookThrough(connection, path, await orAbort(readAll(connection, handle, signal), signal));
    } finally {
      // Nobody needs to wait for it; when it fails, the connection has ended.
      connection.closeHandle(handle).catch(() => undefined);
    }
  } catch (error) {
    if (error instanceof Endless) throw endless(path, location, error);
    throw requestFailed('list', path, location, error);
  }
}

async function openUnlessAbsent(connection: SftpConnection, path: string): Promise<Buffer | undefined> {
  try {
    return await connection.openFolder(path);
  } catch (error) {
    if (statusOf(error) !== 'NO_SUCH_FILE') throw error;
    if (await isReallyAbsent(connection, path)) return undefined;
    throw new SftpStatus(
      'NO_SUCH_FILE',
      'a part of this path is no folder, or a link on it leads nowhere',
      error,
    );
  }
}

async function readAll(
  connection: SftpConnection,
  handle: Buffer,
  signal: AbortSignal | undefined,
): Promise<FolderEntry[]> {
  const all: FolderEntry[] = [];
  const bounds = new FolderBounds(connection.clock);
  const reading = async (): Promise<void> => {
    for (;;) {
      signal?.throwIfAborted();
      const page = await connection.readFolder(handle);
      if (page === undefined) return;
      bounds.check(page);
      for (const entry of page) all.push(entry);
    }
  };
  await settleAll(Array.from({ length: PAGES_AT_ONCE }, reading));
  return all;
}

/** A link counts as what it leads to; one that leads nowhere, as nothing. */
async function lookThrough(
  connection: SftpConnection,
  folder: string,
  entries: readonly FolderEntry[],
): Promise<FolderEntry[]> {
  const looked = entries.map(async (entry) => {
    if (entry.kind !== 'link') return entry;
    const facts = await unlessAbsent(connection.factsOf(inFolder(folder, entry.name), true));
    // Links to folders are not followed: they could lead in a circle.
    return facts?.kind === 'file' ? { ...entry, ...facts } : undefined;
  });
  await settleAll(looked);
  return (await Promise.all(looked)).filter((entry) => entry !== undefined);
}

/** The failure of a listing that does not end. @param path - on the server */
export function endless(path: string, location: string, { message }: Endless): RivuletError {
  return storageFailed(`cannot list ${path} at ${location}: ${message}`, {
    retry: false,
    details: { path },
    hint: 'No replica has such a folder: is the path right, and is it an SFTP server that answers?',
  });
}
