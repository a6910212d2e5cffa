/**
 * A directory for this user's own files: a real one, that belongs to this user or root, and to which nobody else can
 * write. What is in it was put there by us, and nobody can exchange it under us. Its files are reached through an open
 * descriptor, so that it does not matter who may rename the directory itself.
 */
import {
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  statSync,
  type Stats,
} from 'node:fs';
import { join, sep } from 'node:path';
import { type DirectoryHandle, openDirectory, tellPath, UntrustedPath } from './directory-handle.ts';
import { systemCode } from './errors.ts';
import { type Files, systemFiles } from './files.ts';

const PRIVATE_MODE = 0o700;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;

export interface PrivateDirectory extends Disposable {
  readonly path: string;
  /** Paths in this directory lead to its entries; all others are as usual. */
  readonly files: Files;
  /** Whether the path still leads to this directory. */
  isCurrent(): boolean;
  /**
   * Opens what the path leads to now, made when nothing is there, and goes on with that.
   *
   * @param takeOver - is given the files of the new one; when it throws, everything stays as it was
   * @throws as opening does, and what `takeOver` throws
   */
  reopen<Result>(takeOver: (files: Files) => Result): Result;
  close(): void;
}

export interface PrivateDirectoryOptions {
  /**
   * Asked about a directory of this user to which its group may write: whether to take that right away, as from a
   * directory of ours that a volume's manager has opened for the group. Others are refused.
   */
  readonly mayTakeFromGroup?: (path: string) => boolean;
  /** A directory of others on the way, if it is on the way: it is not made when it is missing. */
  readonly neverMade?: string;
}

/**
 * Opens it; made, with its parents, when it is not there.
 *
 * @throws UntrustedPath when it is not private; what the file system does
 */
export function openPrivateDirectory(path: string, options: PrivateDirectoryOptions = {}): PrivateDirectory {
  let handle = openChecked(path, options);
  let isOpen = true;
  const use = <T>(work: (present: DirectoryHandle) => T): T => {
    if (isOpen) return work(handle);
    // Whoever closes later than its owner still has something to write down.
    using again = openChecked(path, options);
    return work(again);
  };
  // Removed by somebody while we run: what is written next is worth a new one.
  const revive = (): void => {
    if (!isOpen || !isGone(handle)) return;
    const next = openChecked(path, options);
    handle.close();
    handle = next;
  };
  const close = (): void => {
    isOpen = false;
    handle.close();
  };
  return {
    path: handle.path,
    files: filesIn(handle.path, use, revive),
    isCurrent: () => leadsTo(handle),
    reopen: (takeOver) => {
      const next = openChecked(path, options);
      try {
        const result = takeOver(filesIn(next.path, (work) => work(next), NOTHING));
        handle.close();
        handle = next;
        return result;
      } catch (error) {
        next.close();
        throw error;
      }
    },
    close,
    [Symbol.dispose]: close,
  };
}

const NOTHING = (): void => undefined;

/** A private directory of a new name. */
export interface ScratchDirectory {
  readonly path: string;
  /** As of a private directory. */
  readonly files: Files;
  /** Removes it with the files in it; what else is there, and then the directory, stays. */
  remove(): void;
}

/** @throws what the file system does */
export function makeScratchDirectory(parent: string, prefix: string): ScratchDirectory {
  return openScratchDirectory(mkdtempSync(join(parent, prefix)));
}

/**
 * One that was made before.
 *
 * @throws UntrustedPath when it is not private; what the file system does
 */
export function openScratchDirectory(path: string): ScratchDirectory {
  const directory = openPrivateDirectory(path);
  const remove = (): void => {
    const { files } = directory;
    const names = files.list(path).map((name) => join(path, name));
    for (const file of names) if (files.lstat(file)?.kind === 'file') files.remove(file);
    directory.close();
    try {
      rmdirSync(path);
    } catch (error) {
      // Not empty, or not there any more: what stands in its place is not ours.
      if (systemCode(error) === undefined) throw error;
    }
  };
  return { path, files: directory.files, remove };
}

/**
 * Whether a directory could be used, without changing anything.
 *
 * @throws UntrustedPath
 */
export function assertPrivate(path: string, options: PrivateDirectoryOptions = {}): void {
  using handle = openDirectory(path, { mayBeLink: false });
  const wrong = wrongWith(handle, factsOf(handle));
  if (wrong !== undefined && !isMended(handle, options)) throw wrong;
}

function openChecked(path: string, options: PrivateDirectoryOptions): DirectoryHandle {
  const { neverMade } = options;
  if (neverMade !== undefined && path.startsWith(neverMade + sep)) statSync(neverMade);
  const handle = openDirectory(path, { mayBeLink: false, makeMode: PRIVATE_MODE });
  try {
    const wrong = wrongWith(handle, factsOf(handle));
    if (wrong !== undefined) {
      if (!isMended(handle, options)) throw wrong;
      if (handle.descriptor !== undefined) fchmodSync(handle.descriptor, PRIVATE_MODE);
    }
    return handle;
  } catch (error) {
    handle.close();
    throw error;
  }
}

function factsOf({ descriptor, path }: DirectoryHandle): Stats {
  return descriptor === undefined ? statSync(path) : fstatSync(descriptor);
}

function wrongWith({ path }: DirectoryHandle, { uid, mode }: Stats): UntrustedPath | undefined {
  const ownUid = process.geteuid?.();
  // Windows keeps rights in lists that Node.js does not tell.
  if (ownUid === undefined) return undefined;
  if (uid !== ownUid && uid !== 0) {
    return new UntrustedPath(
      path,
      `belongs to another user (uid ${uid}; this process has ${ownUid})`,
      'Run as that user, or choose a directory that belongs to this one.',
    );
  }
  if ((mode & (GROUP_WRITES | OTHERS_WRITE)) === 0) return undefined;
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  return new UntrustedPath(
    path,
    `can be written by others (mode ${octal})`,
    'See that nobody has put anything into it, then `chmod 700` it; or choose another directory.',
  );
}

/** Only the group's right, in a directory of this very user: nobody else could have opened it for the group. */
function isMended(handle: DirectoryHandle, { mayTakeFromGroup }: PrivateDirectoryOptions): boolean {
  const { uid, mode } = factsOf(handle);
  if (uid !== process.geteuid?.() || (mode & OTHERS_WRITE) !== 0) return false;
  return mayTakeFromGroup?.(handle.path) ?? false;
}

function leadsTo(handle: DirectoryHandle): boolean {
  const found = lstatSync(handle.path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined || handle.descriptor === undefined) return found !== undefined;
  const { dev, ino } = fstatSync(handle.descriptor, { bigint: true });
  return found.dev === dev && found.ino === ino;
}

function isGone({ descriptor, path }: DirectoryHandle): boolean {
  if (descriptor !== undefined) return fstatSync(descriptor).nlink === 0;
  return lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

type Use = <T>(work: (present: DirectoryHandle) => T) => T;

/** `systemFiles`, with everything in the directory `root` addressed through its handle. */
function filesIn(root: string, use: Use, revive: () => void): Files {
  const isInside = (path: string): boolean => path === root || path.startsWith(root + sep);
  const within = <T>(path: string, work: (path: string) => T): T => {
    if (!isInside(path)) return work(path);
    return use(({ entries }) => {
      if (entries === root) return work(path);
      try {
        return work(entries + path.slice(root.length));
      } catch (error) {
        throw tellPath(error, entries, root);
      }
    });
  };
  const system = systemFiles;
  return {
    ...system,
    open: (path) => within(path, (at) => system.open(at)),
    openOwn: (path) => within(path, (at) => system.openOwn(at)),
    createScratch: (path, mode) => within(path, (at) => system.createScratch(at, mode)),
    freeBytes: (path) => within(path, (at) => system.freeBytes(at)),
    createNew: (path, mode) => within(path, (at) => system.createNew(at, mode)),
    rename: (from, to) => within(from, (fromAt) => within(to, (toAt) => system.rename(fromAt, toAt))),
    remove: (path) => within(path, (at) => system.remove(at)),
    list: (path) => within(path, (at) => system.list(at)),
    makeDirectory: (path, mode) => {
      if (!isInside(path)) return system.makeDirectory(path, mode);
      revive();
      return makeBelow(root, path, mode, within);
    },
    syncDirectory: (path) => within(path, (at) => system.syncDirectory(at)),
    stat: (path) => within(path, (at) => system.stat(at)),
    lstat: (path) => within(path, (at) => system.lstat(at)),
    realPath: (path) => (isInside(path) ? path : system.realPath(path)),
  };
}

type Within = <T>(path: string, work: (path: string) => T) => T;

function makeBelow(root: string, path: string, mode: number, within: Within): void {
  let at = root;
  for (const name of path.slice(root.length).split(sep)) {
    if (name === '') continue;
    at = join(at, name);
    within(at, (entry) => {
      try {
        mkdirSync(entry, mode);
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
      }
    });
  }
}
