/**
 * One live database as a source of committed log bytes and of consistent snapshots. Any number of destinations
 * read from it, each at its own pace; it does not know what they are.
 *
 * A look at the database (`refresh`) opens it when it is there and follows its log to the end (`log-follower.ts`), and
 * checkpoints when that is due (`checkpoint.ts`), after everything that somebody still needs has been kept
 * (`log-keeper.ts`). Destinations go on from where they stand (`resume.ts`), take what comes next (`take.ts`), or begin with
 * a copy (`snapshots.ts`). What changes positions runs one after another under one mutex.
 */
import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { Mutex } from '../base/mutex.ts';
import { SignalEvent } from '../base/signal-event.ts';
import type { Generation, Position } from '../generations/names.ts';
import { type Checksum, checksumsEqual } from '../wal/checksum.ts';
import { checkpointIfDue, checkpointNow, letGo } from './checkpoint.ts';
import { type CheckpointSettings, SMALL_REST_BYTES } from './checkpoint-policy.ts';
import type { CopySizes } from './copies.ts';
import { removeLeftCopies } from './copy-store.ts';
import type { Cursor } from './cursor.ts';
import { type Following, placeOf } from './following.ts';
import { LocalTrouble } from './local-trouble.ts';
import { LogFollower } from './log-follower.ts';
import { LogKeeper } from './log-keeper.ts';
import { type LogPin, logPin } from './log-pin.ts';
import { type Machine, systemMachine } from './machine.ts';
import type { PrimaryObserver } from './primary-observer.ts';
import type { PrimaryParts } from './primary-parts.ts';
import type { LastingReason } from './read-lock.ts';
import { resumeAfterSegment, resumeAtLogEnd, resumeAtLogStart } from './resume.ts';
import type { LogEnd } from './resume-point.ts';
import type { Snapshot } from './snapshot-source.ts';
import { type SnapshotOptions, Snapshots } from './snapshots.ts';
import { Spool } from './spool.ts';
import { spoolPathIn, type StateDirectory } from './state-directory.ts';
import { StateStore } from './state-store.ts';
import { type Taken, takeNext, type TakeParts } from './take.ts';

/** Names that one warning lists. */
const STRANGERS_TOLD_MAX = 5;
/** The lock of the database file is in a directory that others may clean up, so it is looked at now and then. */
const CLAIM_LOOK_MS = 60_000;

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
  /** For tests: what is copied how. */
  readonly copySizes?: CopySizes;
}

export interface PrimaryTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: PrimaryObserver;
  /** This machine when absent. */
  readonly machine?: Machine;
}

export type PrimaryStatus = 'waiting' | 'following';

export interface ReadLockStatus {
  readonly isHeld: boolean;
  /** Why it is held although nothing happens. */
  readonly lasting: LastingReason | undefined;
  /** How often a transaction was overwritten before it was read. */
  readonly lostRaces: number;
}

export class Primary {
  readonly settings: PrimarySettings;
  readonly #parts: PrimaryParts;
  readonly #keeper: LogKeeper;
  readonly #follower: LogFollower;
  readonly #snapshots: Snapshots;
  readonly #mutex = new Mutex();
  readonly #changed = new SignalEvent();
  #changes = 0;
  #stateDirectory: StateDirectory | undefined;
  /** When the lock of the database file was looked at last. */
  #claimedMs = Number.NEGATIVE_INFINITY;
  /** How the entries of the state directory are reached. */
  readonly stateFiles: Files;

  /** @throws RivuletError `DB_IN_USE` when another process replicates this database, `STATE_INVALID` */
  constructor(settings: PrimarySettings, tools: PrimaryTools) {
    this.settings = settings;
    const { path, metaPath, checkpoint, spoolLimitBytes, busyTimeoutMs, destinations } = settings;
    const { clock, logger, observer, machine = systemMachine } = tools;
    const directory = machine.openStateDirectory(metaPath, path);
    this.#stateDirectory = directory;
    this.stateFiles = directory.files;
    const { stateFiles } = this;
    const spool = new Spool(spoolPathIn(metaPath), stateFiles);
    if (spool.strangers.length > 0) {
      logger.warn('the spool holds what is not of Rivulet; it is left alone', {
        directory: spoolPathIn(metaPath),
        names: spool.strangers.slice(0, STRANGERS_TOLD_MAX),
      });
    }
    const trouble = new LocalTrouble({ clock, logger, directory: metaPath });
    const keeper = new LogKeeper({
      trouble,
      spool,
      // Each checkpoint may set so much aside; a smaller spool would cut off destinations that are hardly behind.
      spoolLimitBytes: Math.max(spoolLimitBytes, this.#smallRestBytes),
      clock,
      logger,
    });
    const state = new StateStore({ directory: metaPath, files: stateFiles, machine, keeper, clock, trouble });
    this.#keeper = keeper;
    this.#parts = { path, machine, clock, logger, observer, keeper, state };
    this.#follower = new LogFollower({ ...this.#parts, busyTimeoutMs, checkpoint, destinations });
    removeLeftCopies(machine.files, metaPath);
    this.#snapshots = new Snapshots({
      ...this.#parts,
      directory: metaPath,
      files: machine.files,
      spoolLimitBytes,
      follower: this.#follower,
      sizes: settings.copySizes,
      exclusively: async (work) => this.#exclusively(work),
    });
  }

  get #smallRestBytes(): number {
    return this.settings.checkpoint.smallRestBytes ?? SMALL_REST_BYTES;
  }

  get #following(): Following | undefined {
    return this.#follower.following;
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
    return following?.generation === generation && following.beganBootId === this.#parts.machine.bootId();
  }

  /** End of what is known to be committed. */
  get position(): Position | undefined {
    return this.#following?.tail.position;
  }

  /** Transactions that were read of the WAL since the start. */
  get commits(): number {
    return this.#follower.commits;
  }

  /** As of the look before: nothing is known to have been committed that destination `name` lacks, although it cannot be asked. */
  hasNothingNewFor(name: string): boolean {
    return this.#follower.hasNothingNewFor(name);
  }

  /** Whether a read transaction is held, and why it lasts; undefined while there is no database. */
  get readLock(): ReadLockStatus | undefined {
    const following = this.#following;
    if (following === undefined) return undefined;
    const { readLock, tail } = following;
    return {
      isHeld: readLock.isHeld,
      lasting: readLock.lastingReason(tail),
      lostRaces: this.#follower.lostRaces,
    };
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
    return logPin({
      hindrance: following.checkpoints.hindrance,
      pinnedSnapshots: this.#snapshots.pinnedCount,
      copyingForMs: this.#keeper.isCopySlowest ? this.#snapshots.copyingForMs : undefined,
      isWaiting: this.#keeper.uncapturedBytes(following.tail) > this.#smallRestBytes,
      confirmed: this.#keeper.confirmed,
    });
  }

  /**
   * Whether there is anything that the last look has not seen, asked of the files and SQLite directly: it does not wait
   * for a look that is under way, so that one which never ends can be noticed.
   */
  hasUnseen(): boolean {
    return this.#follower.hasUnseen();
  }

  /**
   * A quick look at the index alone, while a read transaction is held.
   *
   * @returns whether a look is due: there was no commit for a moment, or others could go on if the transaction stepped aside
   */
  glance(): boolean {
    const following = this.#following;
    if (following === undefined) return false;
    const reading = following.database.index.read();
    if (reading.kind !== 'index') return true;
    const { readLock } = following;
    readLock.glance(reading.index);
    return (
      readLock.isPausing && (!following.tail.hasAllOf(reading.index) || readLock.isInTheWay(reading.index))
    );
  }

  /** Whether a read transaction is held that is to end when nothing happens any more. */
  get isRestless(): boolean {
    const following = this.#following;
    if (following === undefined || !following.readLock.isHeld) return false;
    return !following.readLock.isQuiet || following.readLock.lastingReason(following.tail) === undefined;
  }

  /** Counts what `waitForChange` tells of, so that nothing is missed between looking and waiting. */
  get changes(): number {
    return this.#changes;
  }

  /** Resolves when something may have changed for a reader: new bytes, a new log, a new generation. */
  async waitForChange(signal?: AbortSignal): Promise<void> {
    await this.#changed.wait(signal);
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
      const { clock, observer } = this.#parts;
      const startedMs = clock.monotonicMs();
      this.#keepOthersOut();
      const changed = await this.#follower.look();
      const following = this.#following;
      if (following !== undefined && !this.#follower.isLeft) {
        await checkpointIfDue(following, this.#parts);
        letGo(following, this.#parts);
        observer.onSync(clock.monotonicMs() - startedMs);
      }
      return changed;
    });
  }

  /**
   * Other processes find this one by its locks in the state directory, and by the file's own. An application that exchanges its data
   * directory, or whoever cleans up, takes them away under us.
   */
  #keepOthersOut(): void {
    const { logger, observer, state, keeper, clock } = this.#parts;
    const following = this.#following;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#claimedMs >= CLAIM_LOOK_MS) {
      this.#claimedMs = nowMs;
      following?.database.keepClaim();
    }
    if (this.#stateDirectory?.refresh() !== true) return;
    logger.warn('the state directory was removed or replaced; it is taken again', {
      directory: this.settings.metaPath,
    });
    keeper.forgetSpooled();
    // What is in its place belongs to whatever database came with it.
    if (following?.database.file.isCurrent() === true) state.saveIfPossible(following, { durable: false });
    observer.onStateDirectory();
  }

  /**
   * Does what may find the log grown, alone. A change is told by whoever comes upon it, be it on the way to a snapshot
   * or in a checkpoint: the next look finds nothing new any more, and readers would sleep until the next commit.
   */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      const before = placeOf(this.#following);
      try {
        return await work();
      } finally {
        if (placeOf(this.#following) !== before) {
          this.#changes++;
          this.#changed.fire();
        }
      }
    });
  }

  // ---- for readers -----------------------------------------------------------------------------------------------

  /**
   * The next bytes behind `cursor`, checked, at most `maxBytes` (one frame is always allowed).
   *
   * @param into - a buffer to use again; the answer is good until its next use
   * @throws RivuletError `DB_UNREADABLE`, `STATE_INVALID` when it cannot be read at the moment
   */
  take(cursor: Cursor, maxBytes: number, into?: Uint8Array): Taken {
    const following = this.#following;
    if (following === undefined) return { kind: 'caught-up' };
    return takeNext({ ...following, keeper: this.#keeper }, cursor, { maxBytes, into });
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
    return this.#resume(generation, async (log) => resumeAfterSegment(log, start, bytes));
  }

  /** The same for a destination whose last segment, in log `index`, is known to end at `end`. */
  async resumeAtEnd(generation: Generation, index: number, end: LogEnd): Promise<Cursor | undefined> {
    return this.#resume(generation, async (log) => resumeAtLogEnd(log, index, end));
  }

  /** Where a destination stands that has a snapshot at the start of log `index` and no segment yet. */
  async resumeAtStart(generation: Generation, index: number): Promise<Cursor | undefined> {
    return this.#resume(generation, (log) => resumeAtLogStart(log, index));
  }

  /** Whether log `index` of `generation`, which is finished, is known to have ended there, with this checksum. */
  hasLogEnd(generation: Generation, index: number, offsetBytes: number, checksum: Checksum): boolean {
    const end = generation === this.generation ? this.#keeper.ends.get(index) : undefined;
    return end?.offsetBytes === offsetBytes && checksumsEqual(end.checksum, checksum);
  }

  async #resume(
    generation: Generation,
    resumeIn: (log: TakeParts) => Promise<Cursor | undefined> | Cursor | undefined,
  ): Promise<Cursor | undefined> {
    return this.#mutex.run(async () => {
      const following = this.#following;
      if (following?.generation !== generation) return undefined;
      this.#follower.pin();
      return resumeIn({ ...following, keeper: this.#keeper });
    });
  }

  /**
   * Registers a destination: from now on everything from the start of the present log is kept for it.
   *
   * @throws RivuletError `DB_BUSY` when the log changes too fast, `DB_NOT_FOUND`
   */
  async attach(name: string): Promise<Cursor> {
    return this.#exclusively(async () => {
      return this.#snapshots.attach(name);
    });
  }

  /**
   * A consistent snapshot, of some moment after this call. The database is copied aside for it where there is room, which
   * takes as long as reading and writing it once. Close it.
   *
   * @throws RivuletError `DB_BUSY`, `DB_NOT_FOUND`; `CANCELLED` when `wanted` has ended; the reason of `signal`
   */
  async openSnapshot(options: SnapshotOptions = {}): Promise<Snapshot> {
    return this.#snapshots.open(options);
  }

  /**
   * Ends the present WAL, so that a snapshot can stand in the next one: a destination may lack something of this one. All of it goes into
   * the database file, and the next commit begins another one.
   *
   * @returns whether it ended; not when a reader or writer of another process was in the way
   */
  async beginLog(): Promise<boolean> {
    return this.#exclusively(async () => {
      await this.#follower.look();
      const before = this.#follower.requireFollowing();
      await checkpointNow(before, this.#parts);
      await this.#follower.look();
      const now = this.#following;
      if (now?.generation !== before.generation) return false;
      if (now.tail.index > before.tail.index) return true;
      return this.#keeper.captureNow(now.database, now.tail) && this.#follower.endLog();
    });
  }

  /**
   * Gives up the present generation, for every destination: one of them holds, in this generation, what does not
   * belong to this database's history.
   */
  async abandonGeneration(generation: Generation, reason: string): Promise<void> {
    await this.#exclusively(async () => {
      if (this.generation === generation) await this.#follower.abandonGeneration(reason);
    });
  }

  /** Writes the state and lets go of everything; the log stays for the next start. */
  async close(): Promise<void> {
    await this.#mutex.run(() => {
      this.#follower.close();
      this.#stateDirectory?.release();
      this.#stateDirectory = undefined;
    });
  }
}
