/**
 * A directory that stays the same one whatever is done to its name. Who may write to a directory on the way can put a
 * symbolic link in its place at any moment, so a path that was checked proves nothing about the next use of that path.
 *
 * Node.js has no `openat`. On Linux `/proc/self/fd/N/NAME` does what it does: the entry NAME of the directory behind
 * descriptor N, wherever that is by now. Elsewhere entries are addressed by path, checked before.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  statSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { systemCode } from './errors.ts';

/** The kernel's own limit for links on one path. */
const LINKS_MAX = 40;
/** Somebody else may remove what was just made, not many times in a row. */
const MAKE_ATTEMPTS = 5;
/** Only a place to go on from; needs no right to read. Not among the constants of Node.js. */
const O_PATH = 0o10_000_000;
/** The usual mode of directories that are made on the way to one of ours: others may need them. */
const PARENT_MODE = 0o777;

const hasDescriptorPaths = process.platform === 'linux' && existsSync('/proc/self/fd/.');

/** Windows has none of these. */
const orNone = (flag: number | undefined): number => flag ?? 0;
const { O_CREAT, O_EXCL, O_RDONLY } = constants;
export const O_NOFOLLOW: number = orNone(constants.O_NOFOLLOW);
const O_DIRECTORY = orNone(constants.O_DIRECTORY);
const O_NONBLOCK = orNone(constants.O_NONBLOCK);

/** For a file that must not be there yet, and is never made behind a link. */
export const NEW_FILE: number = O_CREAT | O_EXCL | O_NOFOLLOW;
/** For reading what should be a regular file: neither through a link, nor waiting for whoever writes into a pipe. */
export const OWN_FILE: number = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
/** For a directory that is one itself, and no link to one. */
export const REAL_DIRECTORY: number = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/** For a directory, or a link to one. */
export const ANY_DIRECTORY: number = O_RDONLY | O_DIRECTORY;

export interface DirectoryHandle extends Disposable {
  /** As it was asked for; for messages. */
  readonly path: string;
  /** What stands for `path` in calls on entries; stays with the directory. */
  readonly entries: string;
  /** Undefined on Windows. */
  readonly descriptor: number | undefined;
  entry(name: string): string;
  close(): void;
}

export interface OpenDirectoryOptions {
  /** Makes the directory, with these permission bits, and its parents when they are missing. */
  readonly makeMode?: number;
  /** Whether the path may end in a symbolic link. Those before its end are followed where they may be trusted. */
  readonly mayBeLink: boolean;
}

/** That a path is not what it has to be: somebody else could lead us elsewhere. */
export class UntrustedPath extends Error {
  override readonly name = 'UntrustedPath';
  /** For whoever treats it as a refusal of the system. */
  readonly code = 'EPERM';
  readonly path: string;
  readonly hint: string;

  constructor(path: string, why: string, hint: string) {
    super(`${path} ${why}`);
    this.path = path;
    this.hint = hint;
  }
}

/** The prefix that addresses entries of an open directory. */
export function entriesOf(descriptor: number | undefined, path: string): string {
  return descriptor !== undefined && hasDescriptorPaths ? `/proc/self/fd/${descriptor}` : path;
}

/**
 * Whether links on the way have to be looked at one by one: root, unlike anybody else, may do something everywhere, so
 * that a link of another user would lend out that right.
 */
export function mustMistrustLinks(): boolean {
  return hasDescriptorPaths && process.geteuid?.() === 0;
}

/** Who made a link: root and this user may lead the way, nobody else. */
export function mayFollow(link: { readonly uid: number }): boolean {
  return link.uid === 0 || link.uid === process.geteuid?.();
}

export function linkOfAnother(path: string): UntrustedPath {
  return new UntrustedPath(
    path,
    'is a symbolic link of another user',
    'Give the path behind the link, or let root make the link.',
  );
}

export function notADirectory(path: string, isLink: boolean): Error {
  if (!isLink) {
    const error = new Error(`ENOTDIR: ${path} is a file, expected a directory`);
    return Object.assign(error, { code: 'ENOTDIR', path });
  }
  return new UntrustedPath(
    path,
    'is a symbolic link, expected a directory',
    'Give the path behind the link, or remove the link.',
  );
}

/** @throws UntrustedPath; what the file system does */
export function openDirectory(path: string, options: OpenDirectoryOptions): DirectoryHandle {
  const absolute = resolve(path);
  const descriptor = mustMistrustLinks()
    ? walkTo(absolute, { ...options, flags: REAL_DIRECTORY }, 0)
    : openPlain(absolute, options);
  const entries = entriesOf(descriptor, absolute);
  let isOpen = true;
  const close = (): void => {
    if (isOpen && descriptor !== undefined) closeSync(descriptor);
    isOpen = false;
  };
  return {
    path: absolute,
    entries,
    descriptor,
    entry: (name) => join(entries, name),
    close,
    [Symbol.dispose]: close,
  };
}

// ---- step by step, as root -----------------------------------------------------------------------------------------

interface Wanted extends OpenDirectoryOptions {
  readonly flags: number;
}

function walkTo(path: string, wanted: Wanted, links: number): number {
  const parentPath = dirname(path);
  if (parentPath === path) return openSync(path, wanted.flags);
  const makesParents = wanted.makeMode === undefined ? {} : { makeMode: PARENT_MODE };
  const ancestor = { ...makesParents, mayBeLink: true, flags: O_PATH | O_DIRECTORY | O_NOFOLLOW };
  const parent = walkTo(parentPath, ancestor, links);
  try {
    return enter(parent, path, wanted, links);
  } finally {
    closeSync(parent);
  }
}

function enter(parent: number, path: string, wanted: Wanted, links: number): number {
  const entry = join(entriesOf(parent, path), basename(path));
  for (let attempt = 1; ; attempt += 1) {
    try {
      return openSync(entry, wanted.flags);
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOTDIR' || code === 'ELOOP') return followed(parent, entry, path, wanted, links);
      if (code !== 'ENOENT' || attempt === MAKE_ATTEMPTS || wanted.makeMode === undefined)
        throw tellPath(error, entry, path);
      makeUnlessThere(entry, wanted.makeMode, path);
    }
  }
}

function followed(parent: number, entry: string, path: string, wanted: Wanted, links: number): number {
  const found = lstatSync(entry);
  if (!found.isSymbolicLink()) throw notADirectory(path, false);
  if (!wanted.mayBeLink) throw notADirectory(path, true);
  if (!mayFollow(found)) throw linkOfAnother(path);
  if (links >= LINKS_MAX) throw Object.assign(new Error(`ELOOP: too many links, ${path}`), { code: 'ELOOP' });
  const from = readlinkSync(entriesOf(parent, path));
  return walkTo(resolve(from, readlinkSync(entry)), wanted, links + 1);
}

function makeUnlessThere(entry: string, mode: number, path: string): void {
  try {
    mkdirSync(entry, mode);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw tellPath(error, entry, path);
  }
}

// ---- at once, as anybody else --------------------------------------------------------------------------------------

function openPlain(path: string, { makeMode, mayBeLink }: OpenDirectoryOptions): number | undefined {
  if (makeMode !== undefined && !existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true, mode: PARENT_MODE });
    makeUnlessThere(path, makeMode, path);
  }
  const found = mayBeLink ? statSync(path) : lstatSync(path);
  if (!found.isDirectory()) throw notADirectory(path, found.isSymbolicLink());
  if (process.platform === 'win32') return undefined;
  try {
    return openSync(path, mayBeLink ? ANY_DIRECTORY : REAL_DIRECTORY);
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR' || systemCode(error) === 'ELOOP') throw notADirectory(path, true);
    throw error;
  }
}

/**
 * Sets the permission bits of what is at `path`: of that very file, although it may be none that can be opened.
 *
 * @throws UntrustedPath when something else is there; what the file system does
 */
export function setModeOf(path: string, mode: number, isRight: (stats: Stats) => boolean): void {
  if (!hasDescriptorPaths) {
    if (!isRight(lstatSync(path))) throw replacedMeanwhile(path);
    chmodSync(path, mode);
    return;
  }
  const descriptor = openSync(path, O_PATH | O_NOFOLLOW);
  try {
    const stats = fstatSync(descriptor);
    if (!isRight(stats) || stats.uid !== process.geteuid?.()) throw replacedMeanwhile(path);
    chmodSync(`/proc/self/fd/${descriptor}`, mode);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Changes a file itself without opening it, so that no lock of this process on it is dropped. `at` leads to that very file, whatever its
 * name leads to by now. Only where the system has such paths.
 */
export function onFileItself(path: string, work: (at: string, stats: Stats) => void): void {
  if (!hasDescriptorPaths) return;
  const descriptor = openSync(path, O_PATH | O_NOFOLLOW);
  try {
    work(`/proc/self/fd/${descriptor}`, fstatSync(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

function replacedMeanwhile(path: string): UntrustedPath {
  return new UntrustedPath(
    path,
    'was replaced by somebody else meanwhile',
    'Choose a directory to which nobody else can write.',
  );
}

/** The same error, of which people see the path that they know. */
export function tellPath(error: unknown, entries: string, path: string): unknown {
  if (!(error instanceof Error) || entries === path) return error;
  retell(error, ['message', 'stack', 'path', 'dest'], entries, path);
  if ('details' in error) retell(error.details, ['path'], entries, path);
  tellPath(error.cause, entries, path);
  return error;
}

function retell(facts: unknown, keys: readonly string[], entries: string, path: string): void {
  if (typeof facts !== 'object' || facts === null) return;
  for (const key of keys) {
    const value: unknown = Reflect.get(facts, key);
    if (typeof value !== 'string' || !value.includes(entries)) continue;
    Reflect.set(facts, key, value.replaceAll(entries, path));
  }
}
