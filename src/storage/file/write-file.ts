import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, join } from 'node:path';
import { NEW_FILE } from '../../base/directory-handle.ts';
import { systemCode } from '../../base/errors.ts';
import { untilAborted } from '../until-aborted.ts';
import { fileFailed } from '../storage-error.ts';
import { close, fsync, fstat, ignoringErrors, open, rename, unlink, writeAll } from './file-system.ts';
import type { HeldFolders } from './held-folders.ts';
import { giveNewName } from './new-name.ts';
import type { NamingOptions } from './new-name.ts';
import { FILE_MODE, applyToFile } from './ownership.ts';
import type { FileOwnership } from './ownership.ts';
import type { FilePlace } from './read-file.ts';
import { folderOf, type RealDirectory, syncNames } from './real-directories.ts';
import { temporaryName } from './temporary-name.ts';

/** Retention may remove a folder, empty at that moment, between its making and its use; not many times in a row. */
const DIRECTORY_ATTEMPTS = 5;

export interface FileWriteOptions {
  /** Throw `STORAGE_EXISTS` instead of replacing a file. */
  readonly isNew: boolean;
  readonly signal: AbortSignal | undefined;
  readonly naming: NamingOptions | undefined;
}

/** A file to be written, in the directory that is open for it. */
interface Writing {
  readonly directory: RealDirectory;
  /** With a path in that directory. */
  readonly place: FilePlace;
  readonly ownership: FileOwnership;
  readonly options: FileWriteOptions;
}

/** That the directory was removed before anything was written. */
class DirectoryGone extends Error {
  override readonly name = 'DirectoryGone';
}

/**
 * Writes a file so that it appears whole and safe, or not at all: under a temporary name, to the disk, renamed or
 * linked, and the directory to the disk. The temporary file is gone afterwards, whatever happens.
 *
 * @returns what the file is like once it is there
 */
export async function writeFileSafely(
  place: FilePlace,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  ownership: FileOwnership,
  folders: HeldFolders,
  options: FileWriteOptions,
): Promise<Stats> {
  options.signal?.throwIfAborted();
  const { key } = place;
  const folder = folderOf(key);
  for (let attempt = 1; ; attempt++) {
    try {
      return await folders.use(folder, async (directory) => {
        const inside = { ...place, path: join(directory.entries, basename(key)) };
        return writeIn({ directory, place: inside, ownership, options }, body);
      });
    } catch (error) {
      if (!(error instanceof DirectoryGone)) throw error;
      if (attempt === DIRECTORY_ATTEMPTS) throw fileFailed('write', place.path, error.cause);
    }
  }
}

async function writeIn(writing: Writing, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Stats> {
  const { directory, place, ownership, options } = writing;
  const { isNew, signal, naming } = options;
  const { path } = place;
  const temporary = temporaryName(path);
  const fd = await openTemporary(temporary, ownership, path);
  try {
    const stats = await fillAndClose(fd, temporary, body, ownership, signal);
    signal?.throwIfAborted();
    if (isNew) {
      await giveNewName(temporary, place, signal, naming);
      await ignoringErrors(unlink(temporary));
    } else await failingAs('rename to', path, rename(temporary, path));
    await failingAs('make safe', directory.path, syncNames(directory));
    return stats;
  } catch (error) {
    await ignoringErrors(unlink(temporary));
    throw error;
  }
}

async function openTemporary(temporary: string, ownership: FileOwnership, path: string): Promise<number> {
  try {
    return await open(temporary, NEW_FILE | constants.O_WRONLY, ownership.fileMode ?? FILE_MODE);
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      throw new DirectoryGone('the directory was removed', { cause: error });
    throw fileFailed('write', path, error);
  }
}

async function fillAndClose(
  fd: number,
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  ownership: FileOwnership,
  signal: AbortSignal | undefined,
): Promise<Stats> {
  let isOpen = true;
  try {
    await failingAs('set the owner and mode of', path, applyToFile(fd, ownership));
    await writeBody(fd, path, body, signal);
    await failingAs('write', path, fsync(fd));
    const stats = await failingAs('write', path, fstat(fd));
    isOpen = false;
    // A network file system may tell only now that the disk is full.
    await failingAs('write', path, close(fd));
    return stats;
  } finally {
    if (isOpen) await ignoringErrors(close(fd));
  }
}

async function writeBody(
  fd: number,
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (body instanceof Uint8Array) return failingAs('write', path, writeAll(fd, body));
  // One chunk is written while the body makes the next one: a body that works on other threads is kept busy.
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of untilAborted(body, signal)) {
      await writing;
      writing = failingAs('write', path, writeAll(fd, chunk));
      // A failure is noticed at the next turn; until then it must not end the process.
      writing.catch(() => undefined);
    }
  } finally {
    // The descriptor is closed next, whatever has happened.
    await Promise.allSettled([writing]);
  }
  await writing;
}

async function failingAs<T>(action: string, path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw fileFailed(action, path, error);
  }
}
