/**
 * The live database file itself. It is opened once and closed only after every SQLite connection of this process
 * on it is closed: closing any descriptor of a file drops all POSIX locks that the process has on it
 * (sqlite.org/howtocorrupt.html, section 2.2).
 */
import { closeSync, fstatSync, openSync, readSync, statSync, realpathSync } from 'node:fs';
import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import { DATABASE_HEADER_BYTES, type DatabaseHeader, parseDatabaseHeader } from '../wal/database-header.ts';

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
export function identify(path: string): FileIdentity | undefined {
  let stats;
  try {
    stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    throw unreadable(path, error);
  }
  if (stats === undefined) return undefined;
  if (!stats.isFile()) {
    throw new RivuletError(
      'DB_UNREADABLE',
      `${path} is ${stats.isDirectory() ? 'a directory' : 'not a file'}`,
      {
        hint: 'Give the path of the SQLite database file.',
      },
    );
  }
  if (stats.size === 0n) return undefined;
  return { device: String(stats.dev), inode: String(stats.ino) };
}

/** The path behind symbolic links: beside it, not beside the link, SQLite keeps the log. `path` when nothing is there. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function unreadable(path: string, error: unknown): RivuletError {
  const denied = systemCode(error) === 'EACCES' || systemCode(error) === 'EPERM';
  return new RivuletError('DB_UNREADABLE', `${path} cannot be read: ${messageOf(error)}`, {
    cause: error,
    ...(denied
      ? { hint: 'Rivulet needs to read and write the database, its -wal and -shm, and their directory.' }
      : {}),
  });
}

/**
 * Throws what opening the database would throw, before anything is made for it; nothing when there is no database yet.
 * Only for a process that has no connection on it: this closes a descriptor of it.
 *
 * @throws RivuletError `DB_UNREADABLE`, `DB_INVALID`
 */
export function assertUsable(path: string): void {
  if (identify(path) !== undefined) new DatabaseFile(path).close();
}

export class DatabaseFile {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly header: DatabaseHeader;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly #descriptor: number;
  #isClosed = false;

  /** @throws RivuletError `DB_UNREADABLE`, or `DB_INVALID` when it is no plain SQLite database */
  constructor(path: string) {
    this.path = path;
    try {
      this.#descriptor = openSync(path, 'r');
    } catch (error) {
      throw unreadable(path, error);
    }
    try {
      const stats = fstatSync(this.#descriptor, { bigint: true });
      this.identity = { device: String(stats.dev), inode: String(stats.ino) };
      this.mode = Number(stats.mode) & 0o777;
      this.uid = Number(stats.uid);
      this.gid = Number(stats.gid);
      const bytes = new Uint8Array(DATABASE_HEADER_BYTES);
      const length = readSync(this.#descriptor, bytes, 0, bytes.length, 0);
      this.header = parseDatabaseHeader(bytes.subarray(0, length), path);
    } catch (error) {
      // No connection is open yet in this process, so closing takes no lock away.
      closeSync(this.#descriptor);
      throw error instanceof RivuletError ? error : unreadable(path, error);
    }
  }

  /** Whether `path` still names this very file. */
  isCurrent(): boolean {
    const now = identify(this.path);
    return now !== undefined && sameFile(now, this.identity);
  }

  modifiedAtMs(): number {
    return fstatSync(this.#descriptor).mtimeMs;
  }

  sizeBytes(): number {
    return fstatSync(this.#descriptor).size;
  }

  /** Fills `into` from `offsetBytes`; bytes past the end of the file are zero. */
  read(into: Uint8Array, offsetBytes: number): void {
    // The number of a closed descriptor may be another file's by now: the database that replaced this one.
    if (this.#isClosed) throw new RivuletError('DB_UNREADABLE', `${this.path} is not followed any more`);
    let done = 0;
    while (done < into.length) {
      const n = readSync(this.#descriptor, into, done, into.length - done, offsetBytes + done);
      if (n === 0) break;
      done += n;
    }
    into.fill(0, done);
  }

  /** Only after the connections are closed. */
  close(): void {
    this.#isClosed = true;
    closeSync(this.#descriptor);
  }
}
