/**
 * The directories of a file replica, each opened as what it is and never through a link. They may belong to the owner of
 * the database, who could at any moment put a link in the place of one; as root we must not be led elsewhere by that. So
 * everything that changes something goes from the root down, directory by directory, and addresses its entry in the last
 * one (`directory-handle.ts` tells how).
 *
 * The root itself may be a link, and lie behind links, of root or of this user.
 */
import { basename, dirname, join, resolve } from 'node:path';
import {
  ANY_DIRECTORY,
  entriesOf,
  linkOfAnother,
  mayFollow,
  mustMistrustLinks,
  notADirectory,
  REAL_DIRECTORY,
  tellPath,
  UntrustedPath,
} from '../../base/directory-handle.ts';
import { systemCode } from '../../base/errors.ts';
import { fileFailed } from '../storage-error.ts';
import { closeNow, fstat, fsync, isEmpty, lstat, mkdir, open, readlink } from './file-system.ts';
import { applyToDirectory, DIRECTORY_MODE, type FileOwnership } from './ownership.ts';

/** The kernel's own limit for links on one path. */
const LINKS_MAX = 40;
/** Retention may remove a folder, empty at that moment, between its making and its opening; not many times in a row. */
const MAKE_ATTEMPTS = 5;

export interface RealDirectory {
  /** For messages. */
  readonly path: string;
  /** What stands for `path` in calls on its entries. */
  readonly entries: string;
  /** Undefined on Windows. */
  readonly descriptor: number | undefined;
}

/** Undefined: a directory that is missing is an error, `ENOENT`. */
type Making = FileOwnership | undefined;

/**
 * Runs `work` in the directory `folder` of a replica.
 *
 * @param folder - relative to `root`, with slashes; empty for the root itself
 * @param making - what directories that are missing are made like
 * @throws RivuletError `STORAGE_FAILED` when it cannot be opened, with the system's error as its cause; what `work` throws
 */
export async function inRealDirectory<T>(
  root: string,
  folder: string,
  making: Making,
  work: (directory: RealDirectory) => Promise<T>,
): Promise<T> {
  const directory = await openRealDirectory(root, folder, making);
  try {
    return await work(directory);
  } catch (error) {
    throw tellPath(error, directory.entries, directory.path);
  } finally {
    closeDirectory(directory);
  }
}

/**
 * Opens what `inRealDirectory` works in; for `closeDirectory`.
 *
 * @param from - the root, already open; it stays so
 * @throws as `inRealDirectory`
 */
export async function openRealDirectory(
  root: string,
  folder: string,
  making: Making,
  from?: RealDirectory,
): Promise<RealDirectory> {
  let directory = from;
  const leave = (): void => {
    if (directory !== undefined && directory !== from) closeDirectory(directory);
  };
  try {
    directory ??= await openRoot(root, making);
    for (const name of folder.split('/')) {
      if (name === '') continue;
      const next = await enter(directory, name, making);
      leave();
      directory = next;
    }
    return directory;
  } catch (error) {
    leave();
    throw fileFailed(making === undefined ? 'open' : 'make the directory', join(root, folder), error);
  }
}

/** Whether a failure to open a folder says that it is not there. */
export function isAbsentFolder(error: unknown): boolean {
  return error instanceof Error && systemCode(error.cause) === 'ENOENT';
}

/** Makes what happened to the names in a directory safe. Windows cannot open a directory, and needs no such thing. */
export async function syncNames({ descriptor }: RealDirectory): Promise<void> {
  if (descriptor !== undefined) await fsync(descriptor);
}

/** The folder of an object, as `inRealDirectory` takes it. */
export function folderOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf('/')));
}

/** At once: nothing was written through it, so that there is nothing to wait for. */
export function closeDirectory({ descriptor }: RealDirectory): void {
  if (descriptor !== undefined) closeNow(descriptor);
}

function opened(descriptor: number | undefined, path: string): RealDirectory {
  return { path, descriptor, entries: entriesOf(descriptor, path) };
}

// ---- below the root ------------------------------------------------------------------------------------------------

async function enter(parent: RealDirectory, name: string, making: Making): Promise<RealDirectory> {
  const path = join(parent.path, name);
  const entry = join(parent.entries, name);
  let isNew = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await enterOnce(parent, { entry, path }, isNew ? making : undefined);
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOTDIR' || code === 'ELOOP') throw await notReal(entry, path);
      if (code !== 'ENOENT' || making === undefined || attempt === MAKE_ATTEMPTS)
        throw tellPath(error, parent.entries, parent.path);
      isNew = await makeUnlessThere(entry, making);
    }
  }
}

async function enterOnce(
  parent: RealDirectory,
  { entry, path }: { readonly entry: string; readonly path: string },
  settling: Making,
): Promise<RealDirectory> {
  const directory = opened(await openReal(entry), path);
  try {
    if (settling !== undefined) await settle(directory, parent, settling);
    return directory;
  } catch (error) {
    closeDirectory(directory);
    throw error;
  }
}

async function openReal(entry: string): Promise<number | undefined> {
  if (process.platform !== 'win32') return open(entry, REAL_DIRECTORY);
  const found = await lstat(entry);
  if (found.isDirectory()) return undefined;
  throw Object.assign(new Error(`ENOTDIR: ${entry}`), { code: 'ENOTDIR' });
}

async function notReal(entry: string, path: string): Promise<unknown> {
  const found = await lstat(entry).catch(() => undefined);
  return notADirectory(path, found?.isSymbolicLink() === true);
}

/** @returns whether it was made, so that it is ours to give away */
async function makeUnlessThere(entry: string, { dirMode = DIRECTORY_MODE }: FileOwnership): Promise<boolean> {
  try {
    await mkdir(entry, dirMode & 0o777);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Mode and owner for a directory that was just made. Whoever may write to its parent can have put another directory of
 * ours in its place, so one that is not empty, or not ours, is left as it is.
 */
async function settle(
  directory: RealDirectory,
  parent: RealDirectory,
  ownership: FileOwnership,
): Promise<void> {
  const { descriptor, entries } = directory;
  if (descriptor === undefined) return;
  const isOurs = (await fstat(descriptor)).uid === process.geteuid?.();
  if (isOurs && (await isEmpty(entries))) await applyToDirectory(descriptor, ownership);
  await syncNames(parent);
}

// ---- the root ------------------------------------------------------------------------------------------------------

async function openRoot(path: string, making: Making): Promise<RealDirectory> {
  if (mustMistrustLinks()) return walkTo(path, making, 0);
  try {
    return opened(await openAny(path), path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || making === undefined || dirname(path) === path) throw error;
    // A link that leads nowhere: a disk that is not mounted.
    if ((await lstat(path).catch(() => undefined)) !== undefined) throw error;
    const parent = await openRoot(dirname(path), making);
    try {
      return await enter(parent, basename(path), making);
    } finally {
      closeDirectory(parent);
    }
  }
}

async function openAny(path: string): Promise<number | undefined> {
  if (process.platform !== 'win32') return open(path, ANY_DIRECTORY);
  const found = await lstat(path);
  if (found.isDirectory() || found.isSymbolicLink()) return undefined;
  throw Object.assign(new Error(`ENOTDIR: ${path}`), { code: 'ENOTDIR' });
}

/** As root: every link on the way is looked at before it is followed. */
async function walkTo(path: string, making: Making, links: number): Promise<RealDirectory> {
  if (dirname(path) === path) return opened(await open(path, REAL_DIRECTORY), path);
  const parent = await walkTo(dirname(path), making, links);
  try {
    return await enter(parent, basename(path), making);
  } catch (error) {
    if (!(error instanceof UntrustedPath)) throw error;
    return await follow(parent, path, error, links);
  } finally {
    closeDirectory(parent);
  }
}

/** @param refusal - to take a link for a directory */
async function follow(
  parent: RealDirectory,
  path: string,
  refusal: UntrustedPath,
  links: number,
): Promise<RealDirectory> {
  const entry = join(parent.entries, basename(path));
  const found = await lstat(entry);
  if (!found.isSymbolicLink()) throw refusal;
  if (!mayFollow(found)) throw linkOfAnother(path);
  if (links >= LINKS_MAX) throw Object.assign(new Error(`ELOOP: too many links, ${path}`), { code: 'ELOOP' });
  const [from, target] = [await readlink(parent.entries), await readlink(entry)];
  // What a link leads to is not made: a disk may not be mounted.
  return walkTo(resolve(from, target), undefined, links + 1);
}
