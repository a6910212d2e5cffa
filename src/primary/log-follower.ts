/**
 * Opens the database when it is there and follows its log to the end, from one log to the next and from one generation to
 * the next: a generation goes on as long as it is proven that nothing was missed (`begin.ts` at the start, `following.ts`
 * from log to log), and a new one begins where it is not. Not to be called while another call of it is under way.
 */
import { RivuletError } from '../base/errors.ts';
import { formatGeneration, formatPosition, type Generation } from '../generations/names.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import { compareWithState, shortenLog } from './begin.ts';
import type { CheckpointSettings } from './checkpoint-policy.ts';
import { CheckpointTurn } from './checkpoint-turn.ts';
import { identify } from './database-file.ts';
import { doubtAboutNext, type Following, hasUnseen, isLogReplaced, isPinnedAgain } from './following.ts';
import type { LogTail } from './log-tail.ts';
import { type OpenDatabase, openDatabase, readLog } from './open-database.ts';
import type { PrimaryParts } from './primary-parts.ts';
import { logEndOf } from './resume-point.ts';

export interface LogFollowerParts extends PrimaryParts {
  /** How long opening may wait for a SQLite lock. */
  readonly busyTimeoutMs: number;
  readonly checkpoint: CheckpointSettings;
  /** Names of all destinations; what an earlier run kept for others is let go. */
  readonly destinations: ReadonlySet<string>;
}

/** SQLite removes a log only when the last connection closes, and this process has some. */
function logRemoved(path: string): RivuletError {
  return new RivuletError('DB_UNREADABLE', `${path} was removed while the database is in use`, {
    hint: 'Restart the application: what it writes into the removed file is lost when it ends.',
  });
}

export class LogFollower {
  readonly #parts: LogFollowerParts;
  #following: Following | undefined;
  #saidWaiting = false;

  constructor(parts: LogFollowerParts) {
    this.#parts = parts;
  }

  /** What is followed at present; undefined while there is no database. */
  get following(): Following | undefined {
    return this.#following;
  }

  /** @throws RivuletError `DB_NOT_FOUND` while there is no database */
  requireFollowing(): Following {
    if (this.#following !== undefined) return this.#following;
    throw new RivuletError('DB_NOT_FOUND', `${this.#parts.path} is not there`);
  }

  /** Whether there is anything that the last look has not seen. May be asked while a look is under way. */
  hasUnseen(): boolean {
    const { path, machine } = this.#parts;
    const following = this.#following;
    try {
      return following === undefined ? identify(path, machine.files) !== undefined : hasUnseen(following);
    } catch {
      // What cannot even be asked cannot be read either.
      return true;
    }
  }

  // ---- from log to log -------------------------------------------------------------------------------------------

  /**
   * Opens the database when it is there and not open, and follows its log to the end.
   *
   * @returns whether anything new was found
   * @throws RivuletError `DB_INVALID`, `DB_UNREADABLE`, `DB_BUSY`, `STATE_INVALID`
   */
  async look(): Promise<boolean> {
    const following = this.#following;
    if (following === undefined) return this.#open();
    if (!following.database.file.isCurrent())
      return this.#openAnew(following, 'the database file was removed or replaced');
    if (isPinnedAgain(following)) return this.#follow(following);
    return this.#openAnew(following, 'the log was restarted while it was not pinned');
  }

  async #follow(following: Following): Promise<boolean> {
    const { keeper, machine, observer } = this.#parts;
    const { database, tail } = following;
    keeper.compressLingering();
    database.wal.refresh();
    const reading = database.wal.header();
    if (reading === undefined) {
      if (!database.wal.exists()) throw logRemoved(database.wal.path);
      return false;
    }
    if (Buffer.compare(reading.bytes, tail.headerBytes) !== 0) return this.#nextLog(following);
    const before = tail.position.offsetBytes;
    const grew = await tail.advanceIfTold(machine.pause);
    if (grew) observer.onWalBytes(tail.position.offsetBytes - before);
    return grew;
  }

  /**
   * The database as of now, with a log that has a header: an application may have truncated it to nothing.
   *
   * @throws RivuletError `DB_NOT_FOUND` while there is no database; otherwise as `look`
   */
  async settled(): Promise<Following> {
    this.requireFollowing();
    await this.look();
    const { database } = this.requireFollowing();
    if (database.wal.header() === undefined) {
      database.connections.forceFrame();
      await this.look();
    }
    return this.requireFollowing();
  }

  async #nextLog(following: Following): Promise<boolean> {
    const { database } = following;
    // With it the database itself may be another one, which nobody has seen yet; and the hold pins nothing any more.
    if (isLogReplaced(following)) return this.#openAnew(following, 'the file of the log was replaced');
    const doubt = doubtAboutNext(following);
    if (doubt === undefined) await this.#goOn(following);
    else await this.#closingOnFailure(database, async () => this.#beginGeneration(database, doubt));
    this.#parts.state.saveIfPossible(this.requireFollowing(), { durable: false });
    return true;
  }

  async #goOn(following: Following): Promise<void> {
    const { tail, database, checkpoints } = following;
    const isEmpty = tail.position.offsetBytes <= WAL_HEADER_BYTES;
    const next = await readLog(database, isEmpty ? tail.index : tail.index + 1);
    if (!isEmpty) this.#parts.keeper.finish(tail.index, logEndOf(tail.chain));
    this.#following = { ...following, tail: next };
    checkpoints.logRestarted();
    this.#parts.observer.onWalBytes(next.position.offsetBytes);
  }

  // ---- the open database -----------------------------------------------------------------------------------------

  async #open(): Promise<boolean> {
    const { path, busyTimeoutMs, machine, logger, state } = this.#parts;
    if (identify(path, machine.files) === undefined) {
      if (!this.#saidWaiting) logger.warn('the database does not exist yet; waiting for it');
      this.#saidWaiting = true;
      return false;
    }
    this.#saidWaiting = false;
    const database = openDatabase(path, busyTimeoutMs, machine);
    if (database.connections.switchedToWal) {
      logger.info('switched the database from a rollback journal to WAL mode');
    }
    await this.#closingOnFailure(database, async () => this.#begin(database));
    state.save(this.requireFollowing(), { durable: true });
    return true;
  }

  async #closingOnFailure(database: OpenDatabase, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#following = undefined;
      database.close();
      throw error;
    }
  }

  /** @returns as `look` */
  async #openAnew({ database }: Following, why: string): Promise<boolean> {
    this.#parts.logger.warn(why);
    this.#following = undefined;
    database.close();
    return this.#open();
  }

  /** Writes the state and closes the database; the log stays for the next start. */
  close(): void {
    const following = this.#following;
    if (following === undefined) return;
    this.#parts.state.saveIfPossible(following, { durable: true });
    following.database.close();
    this.#following = undefined;
  }

  // ---- generations -----------------------------------------------------------------------------------------------

  async #begin(database: OpenDatabase): Promise<void> {
    const { state: store, destinations, machine, keeper, logger } = this.#parts;
    const beginning = await compareWithState(database, store.read());
    if (beginning.kind === 'new') {
      await this.#beginGeneration(database, beginning.reason);
      return;
    }
    const { generation, tail, ends, state } = beginning;
    const confirmed = [...state.confirmed].filter(([name]) => destinations.has(name));
    // A power cut may have taken frames from the log that were spooled, and brought pieces back that were removed.
    if (state.bootId !== machine.bootId()) keeper.forgetSpooled();
    keeper.resume(ends, new Map(confirmed));
    logger.info('continuing the generation', { generation, position: formatPosition(tail.position) });
    this.#setFollowing(database, generation, tail, state.beganBootId);
  }

  async #beginGeneration(database: OpenDatabase, reason: string): Promise<void> {
    const { keeper, machine, logger, observer } = this.#parts;
    this.#following = undefined;
    keeper.reset();
    const tail = await shortenLog(database);
    const generation = formatGeneration(machine.randomBytes(8));
    logger.info('starting a new generation', { generation, reason });
    observer.onGeneration(generation, reason);
    this.#setFollowing(database, generation, tail, machine.bootId());
  }

  #setFollowing(
    database: OpenDatabase,
    generation: Generation,
    tail: LogTail,
    beganBootId: string | undefined,
  ): void {
    const checkpoints = new CheckpointTurn(this.#parts.checkpoint, this.#parts.clock);
    const walInode = database.wal.inode;
    this.#following = { database, generation, checkpoints, walInode, beganBootId, tail };
  }

  /**
   * Ends the present generation and begins another one, with the database left open; nothing more than a look when that is
   * found to be another one.
   *
   * @throws RivuletError `DB_NOT_FOUND` while there is no database; otherwise as `look`, and it is closed then
   */
  async abandonGeneration(reason: string): Promise<void> {
    const { generation } = this.requireFollowing();
    await this.look();
    const following = this.#following;
    if (following?.generation !== generation) return;
    const { database } = following;
    await this.#closingOnFailure(database, async () => this.#beginGeneration(database, reason));
    this.#parts.state.save(this.requireFollowing(), { durable: true });
  }
}
