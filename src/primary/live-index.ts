/**
 * Reads the head of a live database's WAL index. The `-shm` file is opened once, after the SQLite connections of this process,
 * and closed after the last of them: closing any descriptor of it drops every lock that this process has on it
 * (sqlite.org/howtocorrupt.html, section 2.2). A plain read sees what other processes store through their mapping, since both
 * are the page cache. Nothing is ever written to it, and no byte from 120 to 127 is read, where the locks are.
 */
import { RivuletError, systemCode } from '../base/errors.ts';
import { type Files, readFully, systemFiles } from '../base/files.ts';
import { closeWhenUnused, type DatabaseKey } from './kept-descriptors.ts';
import { unreadable } from './unreadable.ts';
import { readWalIndex, WAL_INDEX_BYTES, type WalIndexReading } from '../wal/wal-index.ts';

/** Bytes of the head before the lock bytes. */
const READ_BYTES = 120;
/** Storing both copies takes a writer less than a microsecond. */
const TORN_ATTEMPTS = 100;

export class LiveIndex {
  readonly path: string;
  readonly #database: DatabaseKey;
  readonly #files: Files;
  readonly #descriptor: number;
  readonly #inode: string;
  readonly #bytes = new Uint8Array(WAL_INDEX_BYTES);

  /**
   * @param path - the `-shm` file of a database on which this process has open connections
   * @param database - the database
   * @throws RivuletError `DB_UNREADABLE`
   */
  constructor(path: string, database: DatabaseKey, files: Files = systemFiles) {
    this.path = path;
    this.#database = database;
    this.#files = files;
    try {
      this.#descriptor = files.open(path);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw unreadable(path, error);
      throw new RivuletError('DB_UNREADABLE', `${path} does not exist although the database is open`, {
        cause: error,
        hint:
          'Rivulet needs the shared memory that SQLite keeps there. locking_mode=EXCLUSIVE and some network file systems have ' +
          'none, and nobody may remove the file while the database is in use.',
      });
    }
    this.#inode = files.statOpen(this.#descriptor).inode;
  }

  /** Whether the path still names this file. Where it does not, SQLite's connections of different processes do not see each other. */
  isCurrent(): boolean {
    try {
      return this.#files.stat(this.path)?.inode === this.#inode;
    } catch (error) {
      throw unreadable(this.path, error);
    }
  }

  /**
   * The head as it is now; `torn` only when a writer stands still between the two copies, or was killed there.
   *
   * @throws RivuletError `DB_UNREADABLE` when the system refuses, which says nothing about the index
   */
  read(): WalIndexReading {
    let reading = this.#readOnce();
    for (let attempt = 1; reading.kind === 'torn' && attempt < TORN_ATTEMPTS; attempt++)
      reading = this.#readOnce();
    return reading;
  }

  #readOnce(): WalIndexReading {
    const head = this.#bytes.subarray(0, READ_BYTES);
    try {
      if (readFully(this.#files, this.#descriptor, head, 0) < READ_BYTES) return { kind: 'not-initialised' };
    } catch (error) {
      throw unreadable(this.path, error);
    }
    return readWalIndex(this.#bytes);
  }

  /** Closes it, as soon as no connection of this process is open on the database. */
  close(): void {
    closeWhenUnused(this.#files, this.#database, () => this.#files.close(this.#descriptor));
  }
}
