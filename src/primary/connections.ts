/**
 * The SQLite connections on one live database, and the only lock-taking calls made on it.
 *
 * Two read-only connections take turns in holding a read transaction while there is something to read, so that the WAL cannot
 * be restarted over frames that have not been read. A third takes the write lock for moments, and only when the WAL has reached
 * its limit; a fourth runs PASSIVE checkpoints. None of them ever writes.
 * The read-only ones are opened last and closed last: a read-only closer leaves the log where it is, so the same
 * generation continues at the next start (sqlite.org/wal.html, "Persistence of WAL mode").
 */
import type { DatabaseSync } from 'node:sqlite';
import { messageOf, RivuletError } from '../base/errors.ts';
import { standStill } from '../base/stand-still.ts';
import { openAnySchema } from './any-schema.ts';
import { requireWalMode } from './wal-mode.ts';

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_NOTADB = 26;
const SQLITE_CORRUPT = 11;
const SQLITE_PRIMARY_MASK = 0xff;
/** Connections only read the schema and take locks; a small page cache is plenty. Kibibytes, negative by SQLite's rule. */
const CACHE_SETTING = -100;
/**
 * Longest wait for the write lock in one go: the process stands still meanwhile, and other databases with it. Who does
 * not get it comes again later.
 */
const WRITE_LOCK_WAIT_MS = 30;
const WRITE_LOCK_STEP_MS = 0.05;

/** What `PRAGMA wal_checkpoint` answers. */
export interface CheckpointResult {
  /** Another connection kept the checkpoint from completing or from running at all. */
  readonly busy: boolean;
  /** Frames in the log, and how many of them are in the database file now; -1 when not known. */
  readonly logFrames: number;
  readonly checkpointedFrames: number;
}

/** What the engine does with SQLite on one live database. Calls under a lock must not be nested. */
export interface Connections {
  /** Whether opening had to switch the database from a rollback journal to a write-ahead log. */
  readonly switchedToWal: boolean;
  /** Whether a read transaction is open that keeps the WAL from being restarted over unread frames. */
  readonly holding: boolean;
  /** Begins the read transaction; a no-op when it is open. @throws RivuletError as opening does */
  hold(): void;
  /** Ends it; a no-op when none is open. */
  release(): void;
  /**
   * Moves the read transaction forward: begins a new one, runs `whileBothHold`, then ends the old one. When
   * `whileBothHold` answers false the old one stays and the new one is given up.
   */
  moveHold(whileBothHold: () => boolean): boolean;
  /**
   * Runs `section` while no other connection can write, then lets go without a trace. Answers undefined when the
   * write lock was not to be had within `waitMs`.
   */
  withWriteLock<T>(section: () => T, waitMs?: number): T | undefined;
  /**
   * Recovers the WAL index where a killed writer has left it half written, as whoever begins a read transaction does. Also while the
   * read transaction is being moved, or the write lock is held.
   *
   * @throws RivuletError as opening does
   */
  recoverIndex(): void;
  /** One PASSIVE checkpoint: never waits for anybody, never blocks anybody. */
  checkpointPassive(): CheckpointResult;
  /** Opens one more read transaction, for a reader with a life of its own (a snapshot). Call `end` once. */
  openReader(): { end(): void };
  /** Closes everything and leaves the log in place. */
  close(): void;
}

function sqliteCode(error: unknown): number | undefined {
  if (error instanceof Error && 'errcode' in error && typeof error.errcode === 'number') {
    return error.errcode & SQLITE_PRIMARY_MASK;
  }
  return undefined;
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_BUSY || code === SQLITE_LOCKED;
}

/** Turns what SQLite throws into a sentence with a code. */
export function explainSqliteError(error: unknown, path: string): RivuletError {
  if (error instanceof RivuletError) return error;
  const code = sqliteCode(error);
  if (code === SQLITE_NOTADB) {
    return new RivuletError('DB_INVALID', `${path} is not a SQLite database, or it is encrypted`, {
      cause: error,
    });
  }
  if (code === SQLITE_CORRUPT) {
    return new RivuletError('DB_INVALID', `${path} is corrupt: ${messageOf(error)}`, {
      cause: error,
      hint: 'Check it with: sqlite3 FILE "PRAGMA integrity_check", and restore it from a replica if need be.',
    });
  }
  if (isBusy(error)) {
    return new RivuletError('DB_BUSY', `${path} is locked by another process`, { cause: error });
  }
  return new RivuletError('DB_UNREADABLE', `${path} cannot be opened: ${messageOf(error)}`, { cause: error });
}

function open(path: string, readOnly: boolean, busyTimeoutMs: number): DatabaseSync {
  const connection = openAnySchema(path, { readOnly, timeout: busyTimeoutMs });
  try {
    connection.exec(`PRAGMA cache_size=${CACHE_SETTING}; PRAGMA mmap_size=0`);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function beginRead(connection: DatabaseSync): void {
  connection.exec('BEGIN');
  try {
    connection.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get();
  } catch (error) {
    connection.exec('ROLLBACK');
    throw error;
  }
}

/** The connections that SQLite really has. */
export class SqliteConnections implements Connections {
  readonly #path: string;
  readonly #writer: DatabaseSync;
  readonly #checkpointer: DatabaseSync;
  #holder: DatabaseSync;
  #spare: DatabaseSync;
  #holding = false;
  readonly #switchedToWal: boolean;

  /**
   * @param path - the database file, which must exist
   * @param busyTimeoutMs - how long opening may wait for a lock; the process stands still meanwhile
   * @throws RivuletError `DB_INVALID`, `DB_UNREADABLE` or `DB_BUSY`
   */
  constructor(path: string, busyTimeoutMs: number) {
    this.#path = path;
    const opened: DatabaseSync[] = [];
    const track = (connection: DatabaseSync): DatabaseSync => {
      opened.push(connection);
      return connection;
    };
    try {
      this.#writer = track(open(path, false, busyTimeoutMs));
      this.#switchedToWal = requireWalMode(this.#writer, path);
      this.#writer.exec('PRAGMA wal_autocheckpoint=0; PRAGMA busy_timeout=0');
      this.#checkpointer = track(open(path, false, 0));
      this.#checkpointer.exec('PRAGMA wal_autocheckpoint=0');
      this.#holder = track(open(path, true, busyTimeoutMs));
      this.#spare = track(open(path, true, busyTimeoutMs));
    } catch (error) {
      for (const connection of opened) if (connection.isOpen) connection.close();
      throw explainSqliteError(error, path);
    }
  }

  get switchedToWal(): boolean {
    return this.#switchedToWal;
  }

  get holding(): boolean {
    return this.#holding;
  }

  hold(): void {
    if (this.#holding) return;
    this.#begin(this.#holder);
    this.#holding = true;
  }

  #begin(connection: DatabaseSync): void {
    try {
      beginRead(connection);
    } catch (error) {
      throw explainSqliteError(error, this.#path);
    }
  }

  release(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#holder.exec('ROLLBACK');
  }

  moveHold(whileBothHold: () => boolean): boolean {
    this.#begin(this.#spare);
    let moved = false;
    try {
      moved = whileBothHold();
    } finally {
      if (!moved) this.#spare.exec('ROLLBACK');
    }
    if (moved) this.#swapHolders();
    return moved;
  }

  #swapHolders(): void {
    const old = this.#holder;
    if (this.#holding) old.exec('ROLLBACK');
    this.#holder = this.#spare;
    this.#spare = old;
    this.#holding = true;
  }

  /**
   * Tries at short intervals. SQLite's own waiting sleeps longer and longer, and a writer that commits without a pause
   * has the lock back each time it wakes.
   */
  #takeWriteLock(waitMs: number): boolean {
    const giveUpMs = performance.now() + waitMs;
    for (;;) {
      try {
        this.#writer.exec('BEGIN IMMEDIATE');
        return true;
      } catch (error) {
        if (!isBusy(error)) throw explainSqliteError(error, this.#path);
        if (performance.now() >= giveUpMs) return false;
      }
      standStill(WRITE_LOCK_STEP_MS);
    }
  }

  withWriteLock<T>(section: () => T, waitMs: number = WRITE_LOCK_WAIT_MS): T | undefined {
    if (!this.#takeWriteLock(waitMs)) return undefined;
    try {
      return section();
    } finally {
      this.#writer.exec('ROLLBACK');
    }
  }

  recoverIndex(): void {
    this.#begin(this.#checkpointer);
    this.#checkpointer.exec('ROLLBACK');
  }

  checkpointPassive(): CheckpointResult {
    try {
      const row = this.#checkpointer.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
      return {
        busy: Number(row?.['busy'] ?? 1) !== 0,
        logFrames: Number(row?.['log'] ?? -1),
        checkpointedFrames: Number(row?.['checkpointed'] ?? -1),
      };
    } catch (error) {
      if (isBusy(error)) return { busy: true, logFrames: -1, checkpointedFrames: -1 };
      throw explainSqliteError(error, this.#path);
    }
  }

  openReader(): { end(): void } {
    const connection = open(this.#path, true, 0);
    try {
      beginRead(connection);
    } catch (error) {
      connection.close();
      throw explainSqliteError(error, this.#path);
    }
    return {
      end: () => {
        connection.exec('ROLLBACK');
        connection.close();
      },
    };
  }

  close(): void {
    this.#writer.close();
    this.#checkpointer.close();
    this.#spare.close();
    if (this.#holding) this.#holder.exec('ROLLBACK');
    this.#holding = false;
    this.#holder.close();
  }
}
