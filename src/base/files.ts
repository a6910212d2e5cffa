/**
 * The few calls on files that the engine's local state rests on, each one step of its own: a simulation can end the
 * world between any two of them. Errors are those of Node.js, with its codes.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
  type BigIntStats,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { NEW_FILE, OWN_FILE } from './directory-handle.ts';
import { systemCode } from './errors.ts';

/** Larger than any note or piece of ours: what is more was not written by us, and is not read into memory. */
const OWN_FILE_BYTES_MAX = 64 * 1024 * 1024;
/** What stands behind a name while its file is being written. */
const TEMPORARY = /\.tmp(?:-[0-9a-f]{16})?$/;

export interface FileFacts {
  /** Device and inode: what tells one file from another that took its path. */
  readonly device: string;
  readonly inode: string;
  readonly kind: 'file' | 'directory' | 'other';
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  /** The same to the nanosecond, as far as the file system keeps it, as digits. */
  readonly modifiedAtNs: string;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Files {
  /** Opens for reading. */
  open(path: string): number;
  /** Makes a file for reading and writing; fails when anything has that name, be it a link that leads nowhere. */
  createScratch(path: string, mode: number): number;
  /** Opens a file of ours for reading: fails on anything but a regular file, a symbolic link to one included. */
  openOwn(path: string): number;
  /** Makes a file and opens it for writing; fails when anything has that name, be it a link that leads nowhere. */
  createNew(path: string, mode: number): number;
  /** A name for `path` while it is being written, which nobody can guess. */
  temporaryName(path: string): string;
  /** Reads at `position` into a part of `into`; answers how many bytes there were, 0 at the end. */
  read(descriptor: number, into: Uint8Array, at: number, length: number, position: number): number;
  /** Appends all of `bytes`. */
  write(descriptor: number, bytes: Uint8Array): void;
  /** Writes all of `bytes` at `position` on another thread: a disk that is busy makes writers wait. */
  writeAside(descriptor: number, bytes: Uint8Array, position: number): Promise<void>;
  /** Has the disk write what was written, on another thread. */
  syncAside(descriptor: number): Promise<void>;
  /** What was written is safe from a power cut when this returns. */
  sync(descriptor: number): void;
  close(descriptor: number): void;
  rename(from: string, to: string): void;
  /** Removes one file, or a link itself. Nothing to remove is no error; a directory is one. */
  remove(path: string): void;
  /** The names in a directory; none when it does not exist. */
  list(path: string): string[];
  /** Makes a directory and its parents where they are missing. */
  makeDirectory(path: string, mode: number): void;
  /** Makes what happened to the names in a directory safe from a power cut. */
  syncDirectory(path: string): void;
  /** Undefined when nothing is there. */
  stat(path: string): FileFacts | undefined;
  /** As `stat`, of a symbolic link itself, which is of kind `other`. */
  lstat(path: string): FileFacts | undefined;
  statOpen(descriptor: number): FileFacts;
  /** The path behind symbolic links; throws when nothing is there. */
  realPath(path: string): string;
  /** Bytes that this user may still write on the file system of `path`. Quotas do not count. */
  freeBytes(path: string): number;
}

function factsOf(stats: BigIntStats): FileFacts {
  return {
    device: String(stats.dev),
    inode: String(stats.ino),
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other',
    sizeBytes: Number(stats.size),
    modifiedAtMs: Number(stats.mtimeMs),
    modifiedAtNs: String(stats.mtimeNs),
    mode: Number(stats.mode) & 0o777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
  };
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Windows cannot open a directory, and needs no such thing. */
function syncDirectory(path: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const writeAt = promisify(write);
const syncData = promisify(fdatasync);

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** That something which is no regular file has the name of one of ours. */
export class NotOwnFile extends Error {
  override readonly name = 'NotOwnFile';

  constructor(path: string) {
    super(`${path} is not a regular file`);
  }
}

function openOwn(path: string): number {
  let descriptor: number;
  try {
    descriptor = openSync(path, OWN_FILE);
  } catch (error) {
    // A link, a socket.
    if (systemCode(error) === 'ELOOP' || systemCode(error) === 'ENXIO') throw new NotOwnFile(path);
    throw error;
  }
  const stats = fstatSync(descriptor);
  if (stats.isFile()) return descriptor;
  closeSync(descriptor);
  if (stats.isDirectory()) throw Object.assign(new Error(`EISDIR: '${path}'`), { code: 'EISDIR', path });
  throw new NotOwnFile(path);
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/** This machine's. */
export const systemFiles: Files = {
  open: (path) => openSync(path, 'r'),
  createScratch: (path, mode) => openSync(path, NEW_FILE | constants.O_RDWR, mode),
  openOwn,
  createNew: (path, mode) => openSync(path, NEW_FILE | constants.O_WRONLY, mode),
  temporaryName: (path) => `${path}.tmp-${randomBytes(8).toString('hex')}`,
  read: readSync,
  write: (descriptor, bytes) => {
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
  },
  writeAside: async (descriptor, bytes, position) => {
    for (let at = 0; at < bytes.length;)
      at += (await writeAt(descriptor, bytes, at, bytes.length - at, position + at)).bytesWritten;
  },
  syncAside: async (descriptor) => syncData(descriptor),
  sync: fsyncSync,
  close: closeSync,
  rename: renameSync,
  remove: removeFile,
  list: listNames,
  makeDirectory: (path, mode) => void mkdirSync(path, { recursive: true, mode }),
  syncDirectory,
  stat: (path) => {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stats && factsOf(stats);
  },
  lstat: (path) => {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stats && factsOf(stats);
  },
  statOpen: (descriptor) => factsOf(fstatSync(descriptor, { bigint: true })),
  realPath: realpathSync,
  freeBytes,
};

/**
 * Makes or replaces a file, which appears whole or not at all: under a temporary name, then renamed.
 *
 * @param options - `durable`: also after a power cut; without it, only after the death of this process
 */
export function replaceFile(
  files: Files,
  path: string,
  bytes: Uint8Array,
  options: { readonly durable: boolean },
): void {
  const temporary = files.temporaryName(path);
  const descriptor = files.createNew(temporary, 0o600);
  try {
    fill(files, descriptor, bytes, options.durable);
    files.rename(temporary, path);
  } catch (error) {
    files.remove(temporary);
    throw error;
  }
  if (options.durable) files.syncDirectory(dirname(path));
}

function fill(files: Files, descriptor: number, bytes: Uint8Array, durable: boolean): void {
  try {
    files.write(descriptor, bytes);
    if (durable) files.sync(descriptor);
  } finally {
    files.close(descriptor);
  }
}

/** The name of the file that was being written under `name`; undefined when it is no such name. */
export function nameOfTemporary(name: string): string | undefined {
  return TEMPORARY.test(name) ? name.replace(TEMPORARY, '') : undefined;
}

/** A file of ours, whole; undefined when there is none. Throws when something else has its name. */
export function readFileWhole(files: Files, path: string): Uint8Array | undefined {
  let descriptor: number;
  try {
    descriptor = files.openOwn(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { sizeBytes } = files.statOpen(descriptor);
    if (sizeBytes > OWN_FILE_BYTES_MAX) {
      throw new Error(`${path} has ${sizeBytes} bytes, expected at most ${OWN_FILE_BYTES_MAX}`);
    }
    const bytes = new Uint8Array(sizeBytes);
    return bytes.subarray(0, readFully(files, descriptor, bytes, 0));
  } finally {
    files.close(descriptor);
  }
}

/** A file that grows after a read met its end looks the same once; several times in a row it does not. */
const EMPTY_READS_MAX = 3;

/**
 * Fills `into` from `position`; returns how many bytes there were: fewer only where the file ends.
 *
 * @throws what the file system throws; `EIO` when it gives nothing although the file goes on
 */
export function readFully(files: Files, descriptor: number, into: Uint8Array, position: number): number {
  let done = 0;
  for (let empty = 0; done < into.length;) {
    const got = files.read(descriptor, into, done, into.length - done, position + done);
    done += got;
    if (got > 0) continue;
    const { sizeBytes } = files.statOpen(descriptor);
    if (position + done >= sizeBytes) break;
    if (++empty === EMPTY_READS_MAX) throw shortRead(position + done, sizeBytes);
  }
  return done;
}

function shortRead(position: number, sizeBytes: number): Error {
  const message = `EIO: nothing came from byte ${position} of a file of ${sizeBytes} bytes, read`;
  return Object.assign(new Error(message), { code: 'EIO' });
}
