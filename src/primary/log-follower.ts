/**
 * Opens the database when it is there and follows its log to the end, from one log to the next and from one generation to
 * the next: a generation goes on as long as it is proven that nothing was missed (`begin.ts` at the start, `following.ts`
 * from log to log), and a new one begins where it is not. Not to be called while another call of it is under way.
 */
import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { formatGeneration, formatPosition, type Generation, INDEX_MAX } from '../generations/names.ts';
import { compareWithState } from './begin.ts';
import { OVERWRITTEN } from './continuity.ts';
import type { CheckpointSettings } from './checkpoint-policy.ts';
import { CheckpointTurn } from './checkpoint-turn.ts';
import { type FileIdentity, identify, sameFile } from './database-file.ts';
import { handOver } from './handover.ts';
import { ForeignWrites, noDoubts } from './foreign-writes.ts';
import { doubtAboutNext, type Following, hasUnseen, isLogReplaced, isReadable } from './following.ts';
import { isOfEnded, type LogTail, type Remains } from './log-tail.ts';
import { type OpenDatabase, openDatabase, readLog, walUnreadable } from './open-database.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import type { PrimaryParts } from './primary-parts.ts';
import { ApplicationWays, ReadLock } from './read-lock.ts';
import { logEndOf } from './resume-point.ts';
import type { StateReading } from './state-file.ts';

export interface LogFollowerParts extends PrimaryParts {
  /** How long opening may wait for a SQLite lock. */
  readonly busyTimeoutMs: number;
  readonly checkpoint: CheckpointSettings;
  /** Names of all destinations; what an earlier run kept for others is let go. */
  readonly destinations: ReadonlySet<string>;
}

const OVERWRITTEN_HINT =
  'Its WAL may be that of the file before, so that SQLite reads a mixture of both: run PRAGMA integrity_check. To put another file in its place, ' +
  'stop everything, remove the -wal and -shm beside it, and copy then.';
/** A WAL of this share of its limit is short: 1 MiB by default. */
const SHORT_SHARE = 1 / 128;

/** SQLite removes a WAL only when the last connection closes, and this process has some. */
function walRemoved(path: string): RivuletError {
  return new RivuletError('DB_UNREADABLE', `${path} was removed while the database is in use`, {
    hint:
      'Restart the application: what it writes into the removed file is lost when it ends. What was committed before and is not ' +
      'in the database file is in the replicas, as far as it was stored.',
  });
}

const JOURNAL_MODE_HINT =
  'An application that sets journal_mode itself must set journal_mode=WAL or leave it out: with another mode it is told ' +
  '"database is locked" while Rivulet runs.';

/** Whether this very file was followed before. */
function isKnown(reading: StateReading, identity: FileIdentity): boolean {
  return reading.kind === 'state' && sameFile(reading.state.identity, identity);
}

/** @param wasFollowed - it was in WAL mode before */
function tellOfSwitch(logger: Logger, wasFollowed: boolean): void {
  if (!wasFollowed)
    logger.info('switched the database from a rollback journal to WAL mode', { hint: JOURNAL_MODE_HINT });
  else
    logger.warn('switched the database back to WAL mode: an application had set another journal mode', {
      hint: JOURNAL_MODE_HINT,
    });
}

function isPublished({ database }: Following): boolean {
  return database.index.read().kind === 'index';
}

function saltsOf({ salt1, salt2 }: WalIndex): string {
  return `${salt1} ${salt2}`;
}

function isAllInFile(tail: LogTail, index: WalIndex): boolean {
  return index.backfilledFrames >= index.frames && tail.hasAllOf(index);
}

/** A database as it was opened. */
interface Begun {
  readonly generation: Generation;
  /** As `LogFollower.commits`. */
  readonly commits: number;
  /** Whether a destination has confirmed all of it, or there was nothing of which it could have lacked anything. */
  readonly isStoredAt: (name: string) => boolean;
}

export class LogFollower {
  readonly #parts: LogFollowerParts;
  readonly #ways: ApplicationWays;
  #following: Following | undefined;
  /** Transactions that were read of WALs before the present one. */
  #earlierCommits = 0;
  #saidWaiting = false;
  readonly #doubts = noDoubts();
  /** Why the generation before must not be continued, whatever the WAL looks like. */
  #distrusted: string | undefined;
  /** The WAL of which was said that it cannot be read, although everything in it is safe. */
  #reported: string | undefined;
  /** Whether the database that is followed has no name any more. */
  #isNameless = false;
  /** What was there when the database was opened; undefined where nobody knows what was stored of it. */
  #begun: Begun | undefined;
  /** Whether a database was found that could not be opened, or not be read to its end. */
  #hasUnread = false;

  constructor(parts: LogFollowerParts) {
    this.#parts = parts;
    this.#ways = new ApplicationWays(parts.clock);
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

  /**
   * What is followed now, as long as that is the generation of `begun`, in the same files.
   *
   * @throws RivuletError `CANCELLED`: what was begun for that generation must not appear behind what comes after it
   */
  requireSame({ generation, database }: Following): Following {
    const now = this.#following;
    if (now?.generation === generation && now.database === database) return now;
    throw new RivuletError('CANCELLED', `generation ${generation} has ended`);
  }

  /** Transactions that were read since the start. */
  get commits(): number {
    return this.#earlierCommits + (this.#following?.tail.commits ?? 0);
  }

  /**
   * Whether nothing is known to have been committed that destination `name` lacks, although it cannot be asked: nothing was committed since the
   * database was opened, and all before that was confirmed, or the database had just been put there.
   */
  hasNothingNewFor(name: string): boolean {
    const begun = this.#begun;
    if (begun === undefined || begun.generation !== this.#following?.generation) return false;
    return begun.commits === this.commits && begun.isStoredAt(name);
  }

  /** Whether the database that is followed has no name any more, and nobody can tell what was committed to it last. */
  get isLeft(): boolean {
    return this.#isNameless && this.#following !== undefined && !isPublished(this.#following);
  }

  /** How often a race with the application was lost. */
  get lostRaces(): number {
    return this.#ways.count;
  }

  /** Whether there is anything that the last look has not seen. May be asked while a look is under way. */
  hasUnseen(): boolean {
    const { path, machine } = this.#parts;
    const following = this.#following;
    try {
      if (following !== undefined) return hasUnseen(following);
      return this.#hasUnread || identify(path, machine.files) !== undefined;
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
    this.#parts.keeper.compressLingering();
    if (!following.database.file.isCurrent()) return this.#lookAtNameless(following);
    this.#isNameless = false;
    return this.#lookAtNamed(following);
  }

  async #lookAtNamed(following: Following): Promise<boolean> {
    const { database } = following;
    // While this process has the database open, the index keeps promising what nobody finds in the file: applications cannot open it.
    if (!database.wal.exists()) {
      this.#letGo(database);
      throw walRemoved(database.wal.path);
    }
    if (!database.index.isCurrent())
      return this.#openAnew(following, 'the file of the WAL index was removed or replaced');
    database.wal.refresh();
    // With it the database itself may be another one, which nobody has seen yet; and the read lock pins nothing any more.
    if (isLogReplaced(following)) return this.#openAnew(following, 'the file of the WAL was replaced');
    if (following.writes.isOverwritten()) return this.#openOverwritten(following);
    return this.#follow(following);
  }

  /**
   * The path names another file, or none. What was committed to the database that had it can be read through the open files, and is
   * sent from there, unless another one is to be followed.
   */
  async #lookAtNameless(following: Following): Promise<boolean> {
    const { path, machine, logger } = this.#parts;
    const why = 'the database file was removed or replaced';
    if (identify(path, machine.files) !== undefined) return this.#openAnew(following, why);
    if (following.database.file.sizeBytes() === 0) return this.#leaveEmptied(following);
    // Whether a writer that was killed while it published has committed is decided by whoever opens the database next, and nobody will.
    const found = isPublished(following) && (await this.#follow(following));
    const now = this.requireFollowing();
    if (this.#isStoredEverywhere(now)) return this.#openAnew(now, why);
    if (!this.#isNameless)
      logger.warn(
        'the database file was removed; what destinations lack is sent from the files that are still open',
      );
    this.#isNameless = true;
    return found;
  }

  /** Its WAL alone makes no database: a snapshot of that would be none either. */
  async #leaveEmptied(following: Following): Promise<boolean> {
    const isStored = this.#isStoredEverywhere(following);
    const found = await this.#openAnew(following, 'the database file was emptied');
    if (this.#following === undefined && !isStored) this.#hasUnread = true;
    return found;
  }

  #isStoredEverywhere({ tail }: Following): boolean {
    const { keeper, destinations } = this.#parts;
    return [...destinations].every((name) => {
      const confirmed = keeper.confirmed.get(name);
      return confirmed !== undefined && keeper.isNothingBetween(confirmed, tail.position);
    });
  }

  /** Follows the WAL in the files that are open. */
  async #follow(following: Following): Promise<boolean> {
    const { machine, observer } = this.#parts;
    const { database, tail, readLock } = following;
    if (tail.hasAllOf(database.published())) {
      if (!isReadable(following)) await this.#failUnlessHarmless(following);
      return false;
    }
    const before = database.published();
    readLock.begin(before);
    const index = database.published();
    if (!tail.isLogOf(index) || !tail.isSameLog()) {
      // Whoever restarts a WAL publishes that before the new header is written.
      if (tail.chain !== undefined && tail.isLogOf(database.published()))
        await this.#failUnreadable(following);
      return this.#nextLog(following);
    }
    const beforeBytes = tail.position.offsetBytes;
    await tail.advance(machine.pause);
    const newBytes = tail.position.offsetBytes - beforeBytes;
    // Nothing less than all that was published when the transaction began.
    if (tail.hasAtLeast(index)) readLock.looked(tail, before);
    else if (tail.isLogOf(database.published())) await this.#failUnreadable(following);
    if (newBytes > 0) observer.onWalBytes(newBytes);
    this.#keepIfUnpinned(following);
    return newBytes > 0;
  }

  /** What was reported once, and is in the database file, does no harm: whoever commits next begins another WAL. */
  async #failUnlessHarmless(following: Following): Promise<void> {
    const { database, tail } = following;
    const index = database.published();
    if (!tail.hasAllOf(index)) return;
    if (!isAllInFile(tail, index) || this.#reported !== saltsOf(index)) await this.#failUnreadable(following);
  }

  /**
   * Frames of the WAL are published, and the file has not what leads to them: somebody has overwritten or cut it.
   *
   * Where the frames themselves are there, as when the header was overwritten, they are read and kept, and then checkpointed: whoever commits next
   * begins another WAL. Otherwise the database is let go of: applications read nonsense, or nothing, until nobody has it open any more.
   *
   * @throws RivuletError `DB_UNREADABLE`
   */
  async #failUnreadable({ database, tail, readLock }: Following): Promise<never> {
    const { keeper, machine } = this.#parts;
    const index = database.published();
    const failure = walUnreadable(database, index);
    const again = tail.fromStart();
    await again.advance(machine.pause);
    await tail.advance(machine.pause);
    // Restarted meanwhile: the next look reads the WAL that came then.
    if (!tail.isLogOf(database.published())) throw failure;
    if (!again.hasAtLeast(index) || !tail.hasAtLeast(index)) this.#letGo(database);
    else if (keeper.captureNow(database, tail)) {
      readLock.release();
      database.connections.checkpointPassive();
      this.#reported = saltsOf(index);
    }
    throw failure;
  }

  /**
   * A read transaction that began when all of the WAL was in the database file does not keep it from being restarted: what nobody has
   * stored of it is kept at once.
   */
  #keepIfUnpinned({ database, tail }: Following): void {
    const index = database.published();
    if (!tail.isEmpty && index.backfilledFrames >= index.frames)
      this.#parts.keeper.captureNow(database, tail);
  }

  /** The database as of now. @throws RivuletError `DB_NOT_FOUND` while there is no database; otherwise as `look` */
  async settled(): Promise<Following> {
    this.requireFollowing();
    await this.look();
    return this.requireFollowing();
  }

  /** Has a read transaction held, until a later look finds that nobody needs it: somebody may lack what is in the WAL. */
  pin(): void {
    const following = this.#following;
    if (following === undefined || following.readLock.isHeld) return;
    const { database, tail, readLock } = following;
    const before = database.published();
    readLock.begin(before);
    if (tail.hasAllOf(database.published())) readLock.looked(tail, before);
  }

  async #nextLog(following: Following): Promise<boolean> {
    const { database, tail, readLock } = following;
    if (isOfEnded(database.published(), tail.after)) {
      const why = 'the WAL went on after all of it had been in the database';
      await this.#closingOnFailure(database, async () => this.#beginGeneration(database, why));
      return true;
    }
    // Before anything else: the new WAL grows over it. Where the read lock covers, there is nothing.
    const remains = following.readLock.covers ? undefined : tail.remains();
    const { salt1 } = database.published();
    const index = tail.isEmpty ? tail.index : tail.index + 1;
    const change = tail.change === undefined ? undefined : (tail.change + (remains?.commits ?? 0)) >>> 0;
    const next = await readLog(database, { index, change, after: tail.after });
    if (next.isEmpty && next.after === undefined) this.#ways.emptied();
    const doubt = doubtAboutNext(following, { next, salt1, remains });
    if (doubt === undefined) this.#goOn(following, next, remains);
    else {
      if (readLock.isCountTrusted(tail)) this.#loseRace(doubt);
      await this.#closingOnFailure(database, async () => this.#beginGeneration(database, doubt));
    }
    this.#parts.state.saveIfPossible(this.requireFollowing(), { durable: false });
    return true;
  }

  /** Costs a snapshot, and is no fault of anybody: the application was faster than the look at it. */
  #loseRace(why: string): void {
    const { logger, observer } = this.#parts;
    this.#ways.lost();
    observer.onLostRace();
    logger.warn('a race with the application was lost; a fresh snapshot follows', { reason: why });
  }

  #goOn(following: Following, next: LogTail, remains?: Remains): void {
    const { tail, checkpoints, readLock, database } = following;
    const { keeper, observer } = this.#parts;
    if (remains !== undefined) {
      keeper.keep(tail.position, remains.bytes);
      tail.accept(remains);
      observer.onWalBytes(remains.bytes.length);
    }
    if (tail.chain !== undefined && !tail.isEmpty) keeper.finish(tail.index, logEndOf(tail.chain));
    this.#earlierCommits += tail.commits;
    this.#following = { ...following, tail: next };
    checkpoints.logRestarted();
    readLock.looked(next, database.published());
    observer.onWalBytes(next.position.offsetBytes);
    this.#keepIfUnpinned({ ...following, tail: next });
  }

  // ---- the open database -----------------------------------------------------------------------------------------

  async #open(): Promise<boolean> {
    const { path, machine, logger, state } = this.#parts;
    if (identify(path, machine.files) === undefined) {
      if (!this.#saidWaiting) logger.warn('the database does not exist yet; waiting for it');
      this.#saidWaiting = true;
      return false;
    }
    this.#saidWaiting = false;
    const database = this.#openFiles();
    if (database.connections.switchedToWal) {
      tellOfSwitch(logger, isKnown(state.read(), database.file.identity));
    }
    await this.#closingOnFailure(database, async () => this.#begin(database));
    state.save(this.requireFollowing(), { durable: true });
    return true;
  }

  #openFiles(): OpenDatabase {
    const { path, busyTimeoutMs, machine } = this.#parts;
    try {
      return openDatabase(path, busyTimeoutMs, machine);
    } catch (error) {
      // What is no database has no commits.
      if (!isRivuletError(error, 'DB_INVALID')) this.#hasUnread = true;
      throw error;
    }
  }

  async #closingOnFailure(database: OpenDatabase, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#letGo(database);
      throw error;
    }
  }

  /** Closes it although something of it may not be read. */
  #letGo(database: OpenDatabase): void {
    this.#earlierCommits = this.commits;
    this.#following = undefined;
    this.#hasUnread = true;
    database.close();
  }

  /** @returns as `look` */
  async #openAnew({ database }: Following, why: string, hint?: string): Promise<boolean> {
    this.#parts.logger.warn(why, hint === undefined ? {} : { hint });
    this.#earlierCommits = this.commits;
    this.#following = undefined;
    database.close();
    return this.#open();
  }

  /** Its WAL may look as if nothing had happened. */
  async #openOverwritten(following: Following): Promise<boolean> {
    this.#distrusted = 'the database file was overwritten while it was followed';
    this.#parts.state.forget();
    return this.#openAnew(following, this.#distrusted, OVERWRITTEN_HINT);
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
    this.#begun = undefined;
    const reading = store.read();
    const beginning =
      this.#distrusted === undefined
        ? await compareWithState(database, reading)
        : ({ kind: 'new', reason: this.#distrusted } as const);
    if (beginning.kind === 'new') {
      if (beginning.reason === OVERWRITTEN) logger.warn(OVERWRITTEN, { hint: OVERWRITTEN_HINT });
      await this.#beginGeneration(database, beginning.reason);
      this.#distrusted = undefined;
      const { generation, tail } = this.requireFollowing();
      const isOfAnother = reading.kind === 'state' && !isKnown(reading, database.file.identity);
      const isNewHere = reading.kind === 'none' || isOfAnother;
      if (isNewHere && tail.isEmpty && tail.after === undefined)
        this.#begun = { generation, commits: this.commits, isStoredAt: () => true };
      return;
    }
    const { generation, tail, ends, state } = beginning;
    const confirmed = [...state.confirmed].filter(([name]) => destinations.has(name));
    // A power cut may have taken frames from the log that were spooled, and brought pieces back that were removed.
    if (state.bootId !== machine.bootId()) keeper.forgetSpooled();
    keeper.resume(ends, new Map(confirmed));
    logger.info('continuing the generation', { generation, position: formatPosition(tail.position) });
    this.#setFollowing(database, generation, tail, state.beganBootId);
    const stored = confirmed.filter(([, position]) => keeper.isNothingBetween(position, tail.position));
    const names = new Set(stored.map(([name]) => name));
    this.#begun = { generation, commits: this.commits, isStoredAt: (name) => names.has(name) };
  }

  async #beginGeneration(database: OpenDatabase, reason: string): Promise<void> {
    const { keeper, machine, logger, observer } = this.#parts;
    this.#earlierCommits = this.commits;
    this.#following = undefined;
    keeper.reset();
    const tail = await this.#shortLog(database);
    const generation = formatGeneration(machine.randomBytes(8));
    logger.info('starting a new generation', { generation, reason });
    observer.onGeneration(generation, reason);
    this.#setFollowing(database, generation, tail, machine.bootId());
  }

  /** A first snapshot needs all of the WAL beside it. Where that is much, it begins with the next one if it can. */
  async #shortLog(database: OpenDatabase): Promise<LogTail> {
    const tail = await readLog(database, { index: 0, change: undefined });
    const { machine, path, checkpoint } = this.#parts;
    if (tail.position.offsetBytes <= checkpoint.walLimitBytes * SHORT_SHARE) return tail;
    const { connections } = database;
    await handOver({
      machine,
      clock: this.#parts.clock,
      path,
      connections,
      tail,
      published: () => database.published(),
      captureMost: async () => (await tail.advance(machine.pause), true),
      capture: () => true,
      moveReadLock: (capture) => connections.moveHold(capture),
      lockedBytesMax: undefined,
      onWriteLock: () => undefined,
    });
    const index = database.published();
    if (isAllInFile(tail, index)) return tail.next(index, 0);
    return readLog(database, { index: 0, change: undefined });
  }

  /**
   * Counts the present WAL as ended, where all of it is in the database file: the next commit begins another one. Whatever destinations
   * lack of it must be kept already.
   */
  endLog(): boolean {
    const following = this.requireFollowing();
    const { tail, database } = following;
    const index = database.published();
    if (tail.isEmpty) return true;
    if (tail.index >= INDEX_MAX || !isAllInFile(tail, index)) return false;
    this.#goOn(following, tail.next(index));
    this.#parts.state.saveIfPossible(this.requireFollowing(), { durable: false });
    return true;
  }

  #setFollowing(
    database: OpenDatabase,
    generation: Generation,
    tail: LogTail,
    beganBootId: string | undefined,
  ): void {
    const { clock } = this.#parts;
    const checkpoints = new CheckpointTurn(this.#parts.checkpoint, clock);
    const { connections } = database;
    const readLock = new ReadLock({ connections, clock, ways: this.#ways }, tail, database.published());
    const walInode = database.wal.inode;
    this.#hasUnread = false;
    this.#isNameless = false;
    const { pageSizeBytes } = tail;
    const writes = new ForeignWrites({ database, pageSizeBytes, clock, doubts: this.#doubts });
    this.#following = { database, generation, checkpoints, readLock, walInode, beganBootId, tail, writes };
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
