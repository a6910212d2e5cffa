/**
 * The live database file itself. It is opened once and closed only after every SQLite connection of this process
 * on it is closed: closing any descriptor of a file drops all POSIX locks that the process has on it
 * (sqlite.org/howtocorrupt.html, section 2.2).
 */
import { dirname } from 'node:path';
import { RivuletError } from '../base/errors.ts';
import { type FileFacts, type Files, readFully, systemFiles } from '../base/files.ts';
import { DATABASE_HEADER_BYTES, type DatabaseHeader, parseDatabaseHeader } from '../wal/database-header.ts';
import { closeWhenUnused } from './kept-descriptors.ts';
import { assertSwitchable } from './page-checksums.ts';
import { unreadable } from './unreadable.ts';

/** What tells one file from another that took its path. */
export interface FileIdentity {
  readonly device: string;
  readonly inode: string;
}

export function sameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode;
}

/**
 * Who lies at `path`: undefined when nothing does, or an empty file that is not a database yet.
 *
 * @throws RivuletError `DB_UNREADABLE` when it is a directory or cannot be looked at
 */
export function identify(path: string, files: Files = systemFiles): FileIdentity | undefined {
  let facts: FileFacts | undefined;
  try {
    facts = files.stat(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (facts === undefined) return undefined;
  if (facts.kind !== 'file') {
    throw new RivuletError(
      'DB_UNREADABLE',
      `${path} is ${facts.kind === 'directory' ? 'a directory' : 'not a file'}`,
      {
        hint: 'Give the path of the SQLite database file.',
      },
    );
  }
  if (facts.sizeBytes === 0) return undefined;
  return { device: facts.device, inode: facts.inode };
}

/** The path behind symbolic links: beside it, not beside the link, SQLite keeps the log. `path` when nothing is there. */
export function realPathOf(path: string, files: Files = systemFiles): string {
  try {
    return files.realPath(path);
  } catch {
    return path;
  }
}

/**
 * Nothing is made in the place of a directory that is not there: it would belong to this process, and the application could not use it.
 *
 * @throws RivuletError `DB_NOT_FOUND`; `DB_UNREADABLE` when it cannot be looked at
 */
export function assertDirectory(databasePath: string, files: Files = systemFiles): void {
  const directory = dirname(databasePath);
  try {
    if (files.stat(directory) !== undefined) return;
  } catch (error) {
    throw unreadable(directory, error);
  }
  throw new RivuletError('DB_NOT_FOUND', `the directory ${directory} of the database does not exist`, {
    hint: 'Replication begins when the application has made it. If it never does, correct the path.',
  });
}

/**
 * Throws what opening the database would throw, before anything is made for it; nothing when there is no database yet.
 *
 * @throws RivuletError `DB_UNREADABLE`, `DB_INVALID`
 */
export function assertUsable(path: string): void {
  if (identify(path) !== undefined) assertSwitchable(path, headerOf(path));
}

/** Of a database that is there. @throws RivuletError `DB_UNREADABLE`, `DB_INVALID` */
export function headerOf(path: string): DatabaseHeader {
  const file = new DatabaseFile(path);
  file.close();
  return file.header;
}

/** Linux takes the time of a file from its clock of 4 or 10 ms. */
const FINE_MOMENT_MS = 50;
/** Some file systems keep whole milliseconds, seconds, or two of them. */
const COARSE_MOMENT_MS = 5_000;

export class DatabaseFile {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly header: DatabaseHeader;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly #files: Files;
  readonly #descriptor: number;
  #isClosed = false;

  /** @throws RivuletError `DB_UNREADABLE`, or `DB_INVALID` when it is no plain SQLite database */
  constructor(path: string, files: Files = systemFiles) {
    this.path = path;
    this.#files = files;
    try {
      this.#descriptor = files.open(path);
    } catch (error) {
      throw unreadable(path, error);
    }
    let identity: FileIdentity | undefined;
    try {
      const { device, inode, mode, uid, gid } = files.statOpen(this.#descriptor);
      identity = { device, inode };
      this.identity = identity;
      this.mode = mode;
      this.uid = uid;
      this.gid = gid;
      const bytes = new Uint8Array(DATABASE_HEADER_BYTES);
      const length = readFully(files, this.#descriptor, bytes, 0);
      this.header = parseDatabaseHeader(bytes.subarray(0, length), path);
    } catch (error) {
      const close = (): void => files.close(this.#descriptor);
      if (identity === undefined) close();
      else closeWhenUnused(files, identity, close);
      throw error instanceof RivuletError ? error : unreadable(path, error);
    }
  }

  /** Whether `path` still names this very file. */
  isCurrent(): boolean {
    const now = identify(this.path, this.#files);
    return now !== undefined && sameFile(now, this.identity);
  }

  modifiedAtMs(): number {
    return this.#files.statOpen(this.#descriptor).modifiedAtMs;
  }

  /**
   * Another text for every content that the file has had, as far as its size and time tell: a write within the same moment of the
   * file system's clock cannot be told from the one before.
   *
   * @param nowMs - by the wall clock
   * @returns undefined while such a write could still come
   */
  stamp(nowMs: number): string | undefined {
    const { sizeBytes, modifiedAtMs, modifiedAtNs } = this.#files.statOpen(this.#descriptor);
    const isFine = !modifiedAtNs.endsWith('000000');
    if (nowMs - modifiedAtMs < (isFine ? FINE_MOMENT_MS : COARSE_MOMENT_MS)) return undefined;
    return `${sizeBytes} ${modifiedAtNs}`;
  }

  sizeBytes(): number {
    return this.#files.statOpen(this.#descriptor).sizeBytes;
  }

  /**
   * Fills `into` from `offsetBytes`; bytes past the end of the file are zero.
   *
   * @throws RivuletError `DB_UNREADABLE` when the system refuses, which says nothing about the database
   */
  read(into: Uint8Array, offsetBytes: number): void {
    // The number of a closed descriptor may be another file's by now: the database that replaced this one.
    if (this.#isClosed) throw new RivuletError('DB_UNREADABLE', `${this.path} is not followed any more`);
    try {
      into.fill(0, readFully(this.#files, this.#descriptor, into, offsetBytes));
    } catch (error) {
      throw unreadable(this.path, error);
    }
  }

  /**
   * Nothing is read from it any more: what a reader that is still open had begun does not belong to what is followed now. The
   * descriptor is closed as soon as no connection of this process is open on the database.
   */
  close(): void {
    this.#isClosed = true;
    closeWhenUnused(this.#files, this.identity, () => this.#files.close(this.#descriptor));
  }
}
