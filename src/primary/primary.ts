/**
 * One live database as a source of committed log bytes and of consistent snapshots. Any number of destinations
 * read from it, each at its own pace; it does not know what they are.
 *
 * A look at the database (`refresh`) opens it when it is there (`begin.ts`), follows its log to the end (`log-tail.ts`),
 * and checkpoints when that is due (`checkpoint-turn.ts`), after everything that somebody still needs has been kept
 * (`log-keeper.ts`). What changes positions runs one after another under one mutex.
 */
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { Mutex } from '../base/mutex.ts';
import { SignalEvent } from '../base/signal-event.ts';
import {
  formatGeneration,
  formatPosition,
  type Generation,
  INDEX_MAX,
  type Position,
} from '../generations/names.ts';
import { checksumsEqual } from '../wal/checksum.ts';
import { type Chain, walBytes } from '../wal/frames.ts';
import { WAL_HEADER_BYTES, type WalHeader } from '../wal/wal-header.ts';
import { chainAt, compareWithState, shortenLog } from './begin.ts';
import { type CheckpointSettings, SMALL_REST_BYTES } from './checkpoint-policy.ts';
import { CheckpointTurn } from './checkpoint-turn.ts';
import { type Cursor, startOfLog } from './cursor.ts';
import { identify } from './database-file.ts';
import type { InstanceLock } from './instance-lock.ts';
import { LocalTrouble } from './local-trouble.ts';
import { LogKeeper } from './log-keeper.ts';
import { type LogPin, logPin } from './log-pin.ts';
import type { LogTail } from './log-tail.ts';
import { type Machine, systemMachine } from './machine.ts';
import { type OpenDatabase, openDatabase, readLog } from './open-database.ts';
import { pinSnapshot } from './pin-snapshot.ts';
import type { PrimaryObserver } from './primary-observer.ts';
import { chainAfterSegment, chainAtLogEnd, type LogEnd, logEndOf } from './resume-point.ts';
import type { Snapshot } from './snapshot-source.ts';
import { Spool } from './spool.ts';
import { readState, writeState } from './state-file.ts';
import { type Taken, takeNext } from './take.ts';

/** Attempts to begin a snapshot while the log changes; the first few without taking the write lock. */
const PIN_ATTEMPTS = 50;
const PIN_ATTEMPTS_UNLOCKED = 3;
const ATTACH_ATTEMPTS = 20;

export interface PrimarySettings {
  readonly path: string;
  /** Directory for the local state; belongs to Rivulet. */
  readonly metaPath: string;
  readonly checkpoint: CheckpointSettings;
  readonly spoolLimitBytes: number;
  /** How long opening may wait for a SQLite lock. */
  readonly busyTimeoutMs: number;
  /** Names of all destinations; what an earlier run kept for others is let go. */
  readonly destinations: ReadonlySet<string>;
}

export interface PrimaryTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: PrimaryObserver;
  /** This machine when absent. */
  readonly machine?: Machine;
}

export type PrimaryStatus = 'waiting' | 'following';

interface Following {
  readonly database: OpenDatabase;
  readonly generation: Generation;
  readonly checkpoints: CheckpointTurn;
  /** The file of the log: the hold pins this one and no other. */
  readonly walInode: string;
  /** The start of the machine in which the generation began, where that is known. */
  readonly beganBootId: string | undefined;
  tail: LogTail;
}

/** SQLite removes a log only when the last connection closes, and this process has some. */
function logRemoved(path: string): RivuletError {
  return new RivuletError('DB_UNREADABLE', `${path} was removed while the database is in use`, {
    hint: 'Restart the application: what it writes into the removed file is lost when it ends.',
  });
}

export class Primary {
  readonly settings: PrimarySettings;
  readonly #tools: PrimaryTools;
  readonly #machine: Machine;
  readonly #mutex = new Mutex();
  readonly #keeper: LogKeeper;
  readonly #trouble: LocalTrouble;
  readonly #changed = new SignalEvent();
  #changes = 0;
  #following: Following | undefined;
  #lock: InstanceLock | undefined;
  #saidWaiting = false;
  #openSnapshots = 0;

  /** @throws RivuletError `DB_IN_USE` when another process replicates this database, `STATE_INVALID` */
  constructor(settings: PrimarySettings, tools: PrimaryTools) {
    this.settings = settings;
    this.#tools = tools;
    this.#machine = tools.machine ?? systemMachine;
    this.#lock = this.#machine.takeInstanceLock(settings.metaPath, settings.path);
    const { clock, logger } = tools;
    this.#trouble = new LocalTrouble({ clock, logger, directory: settings.metaPath });
    this.#keeper = new LogKeeper({
      trouble: this.#trouble,
      spool: new Spool(join(settings.metaPath, 'spool'), this.#machine.files),
      // Each checkpoint may set so much aside; a smaller spool would cut off destinations that are hardly behind.
      spoolLimitBytes: Math.max(
        settings.spoolLimitBytes,
        settings.checkpoint.smallRestBytes ?? SMALL_REST_BYTES,
      ),
      clock: tools.clock,
      logger: tools.logger,
    });
  }

  // ---- facts -----------------------------------------------------------------------------------------------------

  get status(): PrimaryStatus {
    return this.#following === undefined ? 'waiting' : 'following';
  }

  /** The present generation; undefined while there is no database. */
  get generation(): Generation | undefined {
    return this.#following?.generation;
  }

  /**
   * Whether the machine has not been started anew since `generation` began. Until then no log loses what was read of it;
   * a power cut may take the end of one that was not synced, and writers go on from before it.
   */
  ranThroughout(generation: Generation): boolean {
    const following = this.#following;
    return following?.generation === generation && following.beganBootId === this.#machine.bootId();
  }

  /** End of what is known to be committed. */
  get position(): Position | undefined {
    return this.#following?.tail.position;
  }

  /** Log bytes from one position to a later one, as far as the sizes of the logs between are known. */
  bytesBetween(from: Position, to: Position): number {
    return this.#keeper.bytesBetween(from, to);
  }

  /** Whether whoever has everything before `from` lacks nothing before `to`: the header of a log counts for nothing. */
  isNothingBetween(from: Position, to: Position): boolean {
    return this.#keeper.isNothingBetween(from, to);
  }

  get spoolBytes(): number {
    return this.#keeper.spoolBytes;
  }

  /** Sizes on disk, for metrics. */
  sizes(): { databaseBytes: number; walBytes: number } | undefined {
    if (this.#following === undefined) return undefined;
    const { file, wal } = this.#following.database;
    return { databaseBytes: file.sizeBytes(), walBytes: wal.sizeBytes() };
  }

  /** What keeps the log from becoming shorter; undefined when nothing does. */
  get pin(): LogPin | undefined {
    const following = this.#following;
    if (following === undefined) return undefined;
    const { checkpoint } = this.settings;
    return logPin({
      hindrance: following.checkpoints.hindrance,
      openSnapshots: this.#openSnapshots,
      isWaiting:
        this.#keeper.uncapturedBytes(following.tail) > (checkpoint.smallRestBytes ?? SMALL_REST_BYTES),
      confirmed: this.#keeper.confirmed,
    });
  }

  /**
   * Whether there is anything that the last look has not seen, asked of the files and SQLite directly: it does not wait
   * for a look that is under way, so that one which never ends can be noticed.
   */
  hasUnseen(): boolean {
    const following = this.#following;
    try {
      if (following === undefined) return identify(this.settings.path, this.#machine.files) !== undefined;
      const { database, tail } = following;
      if (!database.file.isCurrent()) return true;
      const reading = database.wal.header();
      if (reading === undefined) return !database.wal.exists();
      if (Buffer.compare(reading.bytes, tail.headerBytes) !== 0) return true;
      return walBytes(database.connections.publishedFrames(), tail.pageSizeBytes) > tail.position.offsetBytes;
    } catch {
      // What cannot even be asked cannot be read either.
      return true;
    }
  }

  /** Counts what `waitForChange` tells of, so that nothing is missed between looking and waiting. */
  get changes(): number {
    return this.#changes;
  }

  /** Resolves when something may have changed for a reader: new bytes, a new log, a new generation. */
  async waitForChange(signal?: AbortSignal): Promise<void> {
    await this.#changed.wait(signal);
  }

  #tellChange(): void {
    this.#changes++;
    this.#changed.fire();
  }

  // ---- looking at the database -----------------------------------------------------------------------------------

  /**
   * Looks at the database once: opens it when it is there, follows the log to its end, checkpoints when due.
   *
   * @returns whether anything new was found
   * @throws RivuletError `DB_INVALID`, `DB_UNREADABLE`, `DB_BUSY`, `STATE_INVALID`
   */
  async refresh(): Promise<boolean> {
    return this.#exclusively(async () => {
      const startedMs = this.#tools.clock.monotonicMs();
      const changed = await this.#look();
      await this.#checkpointIfDue();
      if (this.#following !== undefined)
        this.#tools.observer.onSync(this.#tools.clock.monotonicMs() - startedMs);
      return changed;
    });
  }

  /**
   * Does what may find the log grown, alone. A change is told by whoever comes upon it, be it on the way to a snapshot
   * or in a checkpoint: the next look finds nothing new any more, and readers would sleep until the next commit.
   */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      const before = this.#place();
      try {
        return await work();
      } finally {
        if (this.#place() !== before) this.#tellChange();
      }
    });
  }

  #place(): string {
    if (this.#following === undefined) return 'no database';
    const { generation, tail } = this.#following;
    return `${generation} ${formatPosition(tail.position)}`;
  }

  async #look(): Promise<boolean> {
    const following = this.#following;
    if (following !== undefined && !following.database.file.isCurrent()) this.#letGo(following);
    return this.#following === undefined ? this.#open() : this.#follow(this.#following);
  }

  async #open(): Promise<boolean> {
    const { path, busyTimeoutMs } = this.settings;
    if (identify(path, this.#machine.files) === undefined) {
      if (!this.#saidWaiting) this.#tools.logger.warn('the database does not exist yet; waiting for it');
      this.#saidWaiting = true;
      return false;
    }
    this.#saidWaiting = false;
    const database = openDatabase(path, busyTimeoutMs, this.#machine);
    if (database.connections.switchedToWal) {
      this.#tools.logger.info('switched the database from a rollback journal to WAL mode');
    }
    await this.#closingOnFailure(database, async () => this.#begin(database));
    this.#save({ durable: true });
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

  async #begin(database: OpenDatabase): Promise<void> {
    const beginning = await compareWithState(database, readState(this.#statePath, this.#machine.files));
    if (beginning.kind === 'new') {
      await this.#beginGeneration(database, beginning.reason);
      return;
    }
    const { generation, tail, ends, state } = beginning;
    const confirmed = [...state.confirmed].filter(([name]) => this.settings.destinations.has(name));
    this.#keeper.resume(ends, new Map(confirmed));
    this.#tools.logger.info('continuing the generation', {
      generation,
      position: formatPosition(tail.position),
    });
    this.#setFollowing(database, generation, tail, state.beganBootId);
  }

  async #beginGeneration(database: OpenDatabase, reason: string): Promise<void> {
    this.#following = undefined;
    this.#keeper.reset();
    const tail = await shortenLog(database);
    const generation = formatGeneration(this.#machine.randomBytes(8));
    this.#tools.logger.info('starting a new generation', { generation, reason });
    this.#tools.observer.onGeneration(generation, reason);
    this.#setFollowing(database, generation, tail, this.#machine.bootId());
  }

  #setFollowing(
    database: OpenDatabase,
    generation: Generation,
    tail: LogTail,
    beganBootId: string | undefined,
  ): void {
    const checkpoints = new CheckpointTurn(this.settings.checkpoint, this.#tools.clock);
    const walInode = database.wal.inode;
    this.#following = { database, generation, checkpoints, walInode, beganBootId, tail };
  }

  #letGo({ database }: Following): void {
    this.#tools.logger.warn('the database file was removed or replaced');
    database.close();
    this.#following = undefined;
    this.#tellChange();
  }

  async #follow(following: Following): Promise<boolean> {
    const { database, tail } = following;
    this.#keeper.compressLingering();
    database.wal.refresh();
    const reading = database.wal.header();
    if (reading === undefined) {
      if (!database.wal.exists()) throw logRemoved(database.wal.path);
      return false;
    }
    if (Buffer.compare(reading.bytes, tail.headerBytes) !== 0) {
      await this.#nextLog(following);
      return true;
    }
    const before = tail.position.offsetBytes;
    const grew = await tail.advanceIfTold(this.#machine.pause);
    if (grew) this.#tools.observer.onWalBytes(tail.position.offsetBytes - before);
    return grew;
  }

  async #nextLog(following: Following): Promise<void> {
    const { tail, database } = following;
    const doubt = doubtAboutNext(following);
    if (doubt !== undefined) {
      await this.#closingOnFailure(database, async () => this.#beginGeneration(database, doubt));
    } else {
      const isEmpty = tail.position.offsetBytes <= WAL_HEADER_BYTES;
      const next = await readLog(database, isEmpty ? tail.index : tail.index + 1);
      if (!isEmpty) this.#keeper.finish(tail.index, logEndOf(tail.chain));
      following.tail = next;
      following.checkpoints.logRestarted();
      this.#tools.observer.onWalBytes(next.position.offsetBytes);
    }
    this.#saveIfPossible({ durable: false });
  }

  async #checkpointIfDue(): Promise<void> {
    const following = this.#following;
    if (following === undefined) return;
    const { tail, checkpoints } = following;
    const facts = {
      unconfirmedBytes: this.#keeper.uncapturedBytes(tail),
      isShipping: this.#keeper.isShipping(this.#tools.clock.monotonicMs()),
    };
    if (checkpoints.isDue(tail, facts)) await this.#checkpoint(following);
  }

  async #checkpoint(following: Following): Promise<void> {
    const { tail, checkpoints, database } = following;
    const startedMs = this.#tools.clock.monotonicMs();
    try {
      const outcome = await checkpoints.run({
        machine: this.#machine,
        path: this.settings.path,
        connections: database.connections,
        tail,
        captureMost: async () => this.#keeper.captureMost(database, tail),
        capture: () => this.#captureAndSave(following),
      });
      if (outcome !== 'complete') this.#tools.logger.debug('the checkpoint was hindered', { outcome });
      if (outcome !== 'busy') this.#tools.observer.onCheckpoint(this.#tools.clock.monotonicMs() - startedMs);
    } catch (error) {
      this.#tools.observer.onCheckpoint(this.#tools.clock.monotonicMs() - startedMs, error);
      throw error;
    }
  }

  /** What is written down here, under the write lock, lets the next run prove where this log ended. */
  #captureAndSave({ database, tail }: Following): boolean {
    const isSafe = this.#keeper.captureNow(database, tail);
    this.#saveIfPossible({ durable: false });
    return isSafe;
  }

  // ---- for readers -----------------------------------------------------------------------------------------------

  /**
   * The next bytes behind `cursor`, checked, at most `maxBytes` (one frame is always allowed).
   *
   * @param into - a buffer to use again; the answer is good until its next use
   */
  take(cursor: Cursor, maxBytes: number, into?: Uint8Array): Taken {
    if (this.#following === undefined) return { kind: 'caught-up' };
    return takeNext({ ...this.#following, keeper: this.#keeper }, cursor, { maxBytes, into });
  }

  /**
   * A destination confirms that it holds everything before `position` of `generation`. That of one that has ended is
   * forgotten: the answer to an upload may come after the database was replaced.
   */
  confirm(name: string, generation: Generation | undefined, position: Position): void {
    if (generation === this.generation) this.#keeper.confirm(name, position);
  }

  /** Storing something at a destination has failed: until it confirms something, nobody waits for it. */
  failed(name: string): void {
    this.#keeper.failed(name);
  }

  /** A destination will start anew with a snapshot; nothing is kept for it. */
  drop(name: string): void {
    this.#keeper.drop(name);
  }

  /**
   * Where a destination stands whose last segment of `generation` begins at `start` and holds `bytes`.
   * Undefined when what follows it is not to be had here, so that it needs a fresh snapshot.
   */
  async resumeAfter(generation: Generation, start: Position, bytes: Uint8Array): Promise<Cursor | undefined> {
    return this.#resume(generation, start.index, (present) => chainAfterSegment(present, start, bytes));
  }

  /** The same for a destination whose last segment, in log `index`, is known to end at `end`. */
  async resumeAtEnd(generation: Generation, index: number, end: LogEnd): Promise<Cursor | undefined> {
    return this.#resume(generation, index, (present) => chainAtLogEnd(present, end));
  }

  async #resume(
    generation: Generation,
    index: number,
    chainOf: (present: WalHeader) => Chain | undefined,
  ): Promise<Cursor | undefined> {
    return this.#mutex.run(async () => {
      const following = this.#following;
      if (following?.generation !== generation) return undefined;
      const { database, tail } = following;
      const chain = chainOf(tail.chain.header);
      if (chain === undefined) return undefined;
      const cursor: Cursor = { index, chain };
      if (index !== tail.index) {
        return this.#keeper.covers(cursor, tail.index) && this.#leadsOn(following, cursor)
          ? cursor
          : undefined;
      }
      const here = await chainAt(database, tail, chain.offsetBytes);
      const isHeld = here === undefined ? this.#isInSpool(following, cursor) : isSameChain(here, chain);
      return isHeld ? cursor : undefined;
    });
  }

  /** Whether a finished log went on from there, or ended there, with just that chain. */
  #leadsOn(following: Following, cursor: Cursor): boolean {
    const end = this.#keeper.ends.get(cursor.index);
    if (end === undefined || cursor.chain === undefined) return false;
    if (end.offsetBytes === cursor.chain.offsetBytes) return isSameChain(cursor.chain, end);
    return takeNext({ ...following, keeper: this.#keeper }, cursor, { maxBytes: 1 }).kind === 'bytes';
  }

  /** Once all of the log is captured it may be restarted or cut off at any moment; then the spool has what it had. */
  #isInSpool(following: Following, cursor: Cursor): boolean {
    const { tail } = following;
    if (cursor.chain === undefined || tail.isSameLog()) return false;
    if (cursor.chain.offsetBytes === tail.position.offsetBytes) return isSameChain(cursor.chain, tail.chain);
    return takeNext({ ...following, keeper: this.#keeper }, cursor, { maxBytes: 1 }).kind === 'bytes';
  }

  /** Where a destination stands that has a snapshot at the start of log `index` and no segment yet. */
  async resumeAtStart(generation: Generation, index: number): Promise<Cursor | undefined> {
    return this.#mutex.run(() => {
      const following = this.#following;
      if (following?.generation !== generation) return undefined;
      const cursor = startOfLog(index);
      return this.#keeper.covers(cursor, following.tail.index) ? cursor : undefined;
    });
  }

  /**
   * Registers a destination that is about to take a first snapshot: from now on everything from the start of the
   * present log is kept for it.
   *
   * @throws RivuletError `DB_BUSY` when the log changes too fast, `DB_NOT_FOUND`
   */
  async attach(name: string): Promise<Cursor> {
    return this.#exclusively(async () => {
      for (let attempt = 0; attempt < ATTACH_ATTEMPTS; attempt++) {
        const { database, tail } = await this.#settled();
        this.#keeper.confirm(name, { index: tail.index, offsetBytes: 0 });
        if (tail.position.offsetBytes < this.settings.spoolLimitBytes)
          await this.#keeper.capture(database, tail);
        if (tail.isSameLog()) return startOfLog(tail.index);
      }
      throw this.#tooFast();
    });
  }

  /**
   * Opens a consistent snapshot at the present end of the log. Close it.
   *
   * @param wanted - the generation that it is for; a snapshot of another one must not get there
   * @throws RivuletError `DB_BUSY`, `DB_NOT_FOUND`; `CANCELLED` when `wanted` has ended
   */
  async openSnapshot(wanted?: Generation): Promise<Snapshot> {
    return this.#exclusively(async () => {
      for (let attempt = 0; attempt < PIN_ATTEMPTS; attempt++) {
        const { database, tail, generation } = await this.#settled();
        if (wanted !== undefined && generation !== wanted)
          throw new RivuletError('CANCELLED', `generation ${wanted} has ended`);
        const snapshot =
          attempt < PIN_ATTEMPTS_UNLOCKED
            ? pinSnapshot(database, tail)
            : database.connections.withWriteLock(() => pinSnapshot(database, tail));
        if (snapshot !== undefined) return this.#counted(snapshot);
        await this.#machine.pause();
      }
      throw this.#tooFast();
    });
  }

  #counted(snapshot: Snapshot): Snapshot {
    this.#openSnapshots++;
    const close = (): void => {
      this.#openSnapshots--;
      snapshot.close();
    };
    return { ...snapshot, close };
  }

  /** The database as of now, with a log that has a header: an application may have truncated it to nothing. */
  async #settled(): Promise<Following> {
    const following = this.#requireFollowing();
    if (following.database.wal.header() === undefined) following.database.connections.forceFrame();
    await this.#follow(following);
    return this.#requireFollowing();
  }

  #requireFollowing(): Following {
    if (this.#following !== undefined) return this.#following;
    throw new RivuletError('DB_NOT_FOUND', `${this.settings.path} is not there`);
  }

  #tooFast(): RivuletError {
    return new RivuletError('DB_BUSY', `${this.settings.path} changes too fast for a snapshot to begin`);
  }

  /**
   * Ends the present log, so that a snapshot can stand in the next one: a destination may lack something of this one.
   *
   * @returns whether another log has begun; not when a reader or writer of another process was in the way
   */
  async beginLog(): Promise<boolean> {
    return this.#exclusively(async () => {
      await this.#look();
      const following = this.#requireFollowing();
      const { index } = following.tail;
      await this.#checkpoint(following);
      following.database.connections.forceFrame();
      await this.#follow(following);
      const now = this.#following;
      return now?.generation === following.generation && now.tail.index > index;
    });
  }

  /**
   * Gives up the present generation, for every destination: one of them holds, in this generation, what does not
   * belong to this database's history.
   */
  async abandonGeneration(generation: Generation, reason: string): Promise<void> {
    await this.#mutex.run(async () => {
      const following = this.#following;
      if (following?.generation !== generation) return;
      const { database } = following;
      await this.#closingOnFailure(database, async () => this.#beginGeneration(database, reason));
      this.#save({ durable: true });
    });
    this.#tellChange();
  }

  // ---- state -----------------------------------------------------------------------------------------------------

  get #statePath(): string {
    return join(this.settings.metaPath, 'state.json');
  }

  /** An older state that stays instead is harmless: what has happened since is in the log, or not proven. */
  #saveIfPossible(options: { durable: boolean }): void {
    this.#trouble.attempt('state', () => this.#save(options));
  }

  #save(options: { durable: boolean }): void {
    if (this.#following === undefined) return;
    const { database, generation, tail, beganBootId } = this.#following;
    writeState(
      this.#statePath,
      {
        generation,
        identity: database.file.identity,
        bootId: this.#machine.bootId(),
        beganBootId,
        index: tail.index,
        header: tail.headerBytes,
        tailBytes: tail.position.offsetBytes,
        tailChecksum: tail.chain.checksum,
        ends: this.#keeper.ends,
        confirmed: this.#keeper.confirmed,
      },
      { ...options, files: this.#machine.files },
    );
  }

  /** Writes the state and lets go of everything; the log stays for the next start. */
  async close(): Promise<void> {
    await this.#mutex.run(() => {
      this.#saveIfPossible({ durable: true });
      this.#following?.database.close();
      this.#following = undefined;
      this.#lock?.release();
      this.#lock = undefined;
    });
  }
}

function isSameChain(one: Pick<Chain, 'checksum'>, other: Pick<Chain, 'checksum'>): boolean {
  return checksumsEqual(one.checksum, other.checksum);
}

/**
 * Why the log that has taken the place of the followed one cannot be its continuation; undefined when it is. The hold
 * proves it, not the salts: an application may truncate an empty log again and again, and SQLite draws new random
 * salts when the first to write then is a connection that never restarted a log.
 */
function doubtAboutNext({ tail, database, walInode }: Following): string | undefined {
  if (tail.index + 1 > INDEX_MAX) return 'the index has reached its maximum';
  if (!database.connections.holding) return 'the log was restarted while it was not pinned';
  if (database.wal.inode !== walInode) return 'the file of the log was replaced by another one';
  return undefined;
}
