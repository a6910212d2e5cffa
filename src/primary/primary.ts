/**
 * One live database as a source of committed log bytes and of consistent snapshots. Any number of destinations
 * read from it, each at its own pace; it does not know what they are.
 *
 * It follows the log (`#refresh`), keeps what destinations still need when the log is about to be restarted
 * (`#capture`), and checkpoints (`#maintain`). All three run one after another under one mutex, so that a position
 * never changes in the middle of a decision.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { Mutex } from '../base/mutex.ts';
import { SignalEvent } from '../base/signal-event.ts';
import {
  comparePositions,
  formatGeneration,
  formatPosition,
  type Generation,
  INDEX_MAX,
  type Position,
} from '../generations/names.ts';
import { type Chain, scanFrames, walBytes } from '../wal/frames.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import { type CheckpointSettings, decideCheckpoint } from './checkpoint-policy.ts';
import { Consumers } from './consumers.ts';
import {
  chainAtTail,
  type ContinuityFacts,
  decideContinuity,
  type LogRemains,
  type Verdict,
} from './continuity.ts';
import {
  type Cursor,
  type LogBytes,
  positionOf,
  type ReadLimits,
  readVerified,
  startOfLog,
} from './cursor.ts';
import { identify } from './database-file.ts';
import { handOver, type HandoverOutcome } from './handover.ts';
import { type InstanceLock, takeInstanceLock } from './instance-lock.ts';
import { LogTail } from './log-tail.ts';
import { type OpenDatabase, openDatabase, readLog } from './open-database.ts';
import { type PrimaryObserver } from './primary-observer.ts';
import { chainAfterSegment } from './resume-point.ts';
import { makeSnapshot, type Snapshot } from './snapshot-source.ts';
import { Spool } from './spool.ts';
import { type LocalState, readState, type StateReading, writeState } from './state-file.ts';

/** Pieces in which the rest of a log goes into the spool; one is compressed in a few milliseconds. */
const SPOOL_PIECE_BYTES = 1024 * 1024;
/** Rounds of reading to the end of a log that a writer keeps extending, before leaving it for later. */
const CATCH_UP_ROUNDS = 20;
/** After a checkpoint that others hindered, the next attempt waits; doubling up to the second bound. */
const HINDERED_WAIT_MS = 50;
const HINDERED_WAIT_MAX_MS = 2_000;
/** How far salt-1 may jump while the log was pinned: the application may truncate an empty log again and again. */
const SALT_JUMP_MAX = 0x10000;
const TIDY_ATTEMPTS = 5;
/** Attempts to pin a snapshot at a known position. */
const PIN_ATTEMPTS = 50;

export interface PrimarySettings {
  readonly path: string;
  /** Directory for the local state; belongs to Rivulet. */
  readonly metaPath: string;
  readonly checkpoint: CheckpointSettings;
  readonly spoolLimitBytes: number;
  /** How long one call may wait for a SQLite lock. */
  readonly busyTimeoutMs: number;
}

export interface PrimaryTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: PrimaryObserver;
}

export type Taken =
  | {
      readonly kind: 'bytes';
      readonly bytes: Uint8Array;
      readonly from: Position;
      readonly cursor: Cursor;
      /** Where the log before this one ended; only beside the first bytes of a log. */
      readonly previousEndBytes: number | undefined;
    }
  | { readonly kind: 'caught-up' }
  /** What would come next is not there any more; a fresh snapshot is the only way on. */
  | { readonly kind: 'lost'; readonly why: string };

export type PrimaryStatus = 'waiting' | 'following';

interface Following {
  readonly database: OpenDatabase;
  tail: LogTail;
  generation: Generation;
  /** Tail of the present log when it was last checkpointed completely. */
  checkpointedBytes: number | undefined;
  lastCheckpointMs: number;
  hinderedWaitMs: number;
  notBeforeMs: number;
}

async function pause(): Promise<void> {
  await yieldToOthers();
}

export class Primary {
  readonly settings: PrimarySettings;
  readonly #tools: PrimaryTools;
  readonly #mutex = new Mutex();
  readonly #consumers = new Consumers();
  readonly #spool: Spool;
  readonly #changed = new SignalEvent();
  #changes = 0;
  #ends = new Map<number, number>();
  #following: Following | undefined;
  #lock: InstanceLock | undefined;
  #saidWaiting = false;

  constructor(settings: PrimarySettings, tools: PrimaryTools) {
    this.settings = settings;
    this.#tools = tools;
    this.#lock = takeInstanceLock(settings.metaPath, settings.path);
    this.#spool = new Spool(join(settings.metaPath, 'spool'));
  }

  get status(): PrimaryStatus {
    return this.#following === undefined ? 'waiting' : 'following';
  }

  /** The present generation; undefined while there is no database. */
  get generation(): Generation | undefined {
    return this.#following?.generation;
  }

  /** End of what is known to be committed. */
  get position(): Position | undefined {
    return this.#following?.tail.position;
  }

  /** Log bytes from one position to a later one, as far as the sizes of the logs between are known. */
  bytesBetween(from: Position, to: Position): number {
    if (comparePositions(from, to) >= 0) return 0;
    if (from.index === to.index)
      return to.offsetBytes - (to.offsetBytes <= WAL_HEADER_BYTES ? to.offsetBytes : from.offsetBytes);
    let bytes = (this.#ends.get(from.index) ?? from.offsetBytes) - from.offsetBytes;
    for (let index = from.index + 1; index < to.index; index++) bytes += this.#ends.get(index) ?? 0;
    return bytes + (to.offsetBytes <= WAL_HEADER_BYTES ? 0 : to.offsetBytes);
  }

  get spoolBytes(): number {
    return this.#spool.sizeBytes;
  }

  /** Sizes on disk, for metrics. */
  sizes(): { databaseBytes: number; walBytes: number } | undefined {
    if (this.#following === undefined) return undefined;
    const { file, wal } = this.#following.database;
    return { databaseBytes: file.sizeBytes(), walBytes: wal.sizeBytes() };
  }

  /** Permissions and owner of the database file, which local copies of its content inherit. */
  get owner(): { mode: number; uid: number; gid: number } | undefined {
    return this.#following?.database.file;
  }

  /** Counts what `waitForChange` tells of, so that nothing is missed between looking and waiting. */
  get changes(): number {
    return this.#changes;
  }

  #tellChange(): void {
    this.#changes++;
    this.#changed.fire();
  }

  /** Resolves when something may have changed for a reader: new bytes, a new log, a new generation. */
  async waitForChange(signal?: AbortSignal): Promise<void> {
    await this.#changed.wait(signal);
  }

  /**
   * Looks at the database once: opens it when it is there, follows the log to its end, checkpoints when due.
   *
   * @returns whether anything new was found
   * @throws RivuletError `DB_INVALID`, `DB_UNREADABLE`, `DB_BUSY`, `STATE_INVALID`
   */
  async refresh(): Promise<boolean> {
    return this.#mutex.run(async () => {
      const startedMs = this.#tools.clock.monotonicMs();
      const changed = await this.#refresh();
      await this.#maintain();
      if (this.#following !== undefined)
        this.#tools.observer.onSync(this.#tools.clock.monotonicMs() - startedMs);
      if (changed) this.#tellChange();
      return changed;
    });
  }

  async #refresh(): Promise<boolean> {
    if (this.#following !== undefined && !this.#following.database.file.isCurrent())
      this.#letGo('gone or replaced');
    if (this.#following === undefined) return this.#open();
    return this.#follow(this.#following);
  }

  // ---- opening -----------------------------------------------------------------------------------------------

  async #open(): Promise<boolean> {
    const { path, busyTimeoutMs } = this.settings;
    if (identify(path) === undefined) {
      if (!this.#saidWaiting) this.#tools.logger.warn('the database does not exist yet; waiting for it');
      this.#saidWaiting = true;
      return false;
    }
    const database = openDatabase(path, busyTimeoutMs);
    try {
      this.#following = await this.#begin(database);
    } catch (error) {
      database.close();
      throw error;
    }
    this.#saidWaiting = false;
    this.#save({ durable: true });
    return true;
  }

  async #begin(database: OpenDatabase): Promise<Following> {
    if (database.connections.switchedToWal) {
      this.#tools.logger.info('switched the database from a rollback journal to WAL mode');
    }
    const reading = readState(join(this.settings.metaPath, 'state.json'));
    const tail = await readLog(database, 0, pause);
    const verdict = decideContinuity(await this.#continuityFacts(database, tail, reading));
    if (verdict.kind === 'new-generation' || reading.kind !== 'state') {
      return this.#newGeneration(database, verdict.kind === 'new-generation' ? verdict.reason : '');
    }
    return this.#resume(database, reading.state, verdict);
  }

  async #continuityFacts(
    database: OpenDatabase,
    tail: LogTail,
    reading: StateReading,
  ): Promise<ContinuityFacts> {
    const log = database.wal.header();
    const facts = { reading, identity: database.file.identity, log };
    if (reading.kind !== 'state') return { ...facts, chainAtStateTail: undefined, remains: undefined };
    const { state } = reading;
    return {
      ...facts,
      chainAtStateTail: await this.#chainAt(database, tail, state.tailBytes),
      remains: this.#remains(database, tail, state),
    };
  }

  #remains(database: OpenDatabase, tail: LogTail, state: LocalState): LogRemains {
    const old = chainAtTail(state);
    const slot = new Uint8Array(24 + old.header.pageSizeBytes);
    const length = database.wal.read(slot, old.offsetBytes);
    return {
      fileBytes: database.wal.sizeBytes(),
      newLogEndBytes: tail.position.offsetBytes,
      continuation: scanFrames(old, slot, 0, length),
    };
  }

  /** The chain of the present log at an offset, or undefined when no valid frames lead exactly there. */
  async #chainAt(database: OpenDatabase, tail: LogTail, offsetBytes: number): Promise<Chain | undefined> {
    if (offsetBytes > tail.position.offsetBytes || offsetBytes < WAL_HEADER_BYTES) return undefined;
    const limits = { pageSizeBytes: tail.pageSizeBytes, maxBytes: SPOOL_PIECE_BYTES };
    let cursor = startOfLog(0);
    while (positionOf(cursor).offsetBytes < offsetBytes) {
      try {
        cursor = readVerified(liveBytes(database, tail), cursor, offsetBytes, limits).cursor;
      } catch {
        return undefined;
      }
      await pause();
    }
    return cursor.chain?.offsetBytes === offsetBytes ? cursor.chain : undefined;
  }

  async #resume(
    database: OpenDatabase,
    state: LocalState,
    verdict: Exclude<Verdict, { kind: 'new-generation' }>,
  ): Promise<Following> {
    const tail = await readLog(database, verdict.index, pause);
    this.#ends = new Map(state.ends);
    if (verdict.kind === 'next-log') this.#ends.set(state.index, state.tailBytes);
    this.#consumers.clear();
    for (const [name, position] of state.confirmed) this.#consumers.set(name, position);
    this.#tools.logger.info('continuing the generation', {
      generation: state.generation,
      position: formatPosition(tail.position),
    });
    return this.#followingFrom(database, tail, state.generation);
  }

  #followingFrom(database: OpenDatabase, tail: LogTail, generation: Generation): Following {
    const nowMs = this.#tools.clock.monotonicMs();
    return {
      database,
      tail,
      generation,
      checkpointedBytes: undefined,
      lastCheckpointMs: nowMs,
      hinderedWaitMs: 0,
      notBeforeMs: nowMs,
    };
  }

  /** Starts with a log as short as it can be made, because a first snapshot needs all of it beside it. */
  async #newGeneration(database: OpenDatabase, reason: string): Promise<Following> {
    this.#spool.prune(undefined);
    this.#consumers.clear();
    this.#ends = new Map();
    await this.#tidyLog(database);
    const generation = formatGeneration(randomBytes(8));
    const tail = await readLog(database, 0, pause);
    this.#tools.logger.info('starting a new generation', { generation, reason });
    this.#tools.observer.onGeneration(generation, reason);
    return this.#followingFrom(database, tail, generation);
  }

  /** Checkpoints a log that nobody needs, and has SQLite begin it anew. Left as it is when others hinder it. */
  async #tidyLog(database: OpenDatabase): Promise<void> {
    for (let attempt = 0; attempt < TIDY_ATTEMPTS; attempt++) {
      const tail = await readLog(database, 0, pause);
      if (tail.position.offsetBytes <= walBytes(1, tail.pageSizeBytes)) return;
      const outcome = await handOver({
        path: this.settings.path,
        connections: database.connections,
        tail,
        captureMost: async () => (await tail.advance(pause), true),
        capture: () => true,
        checkpointedBytes: 0,
      });
      if (outcome === 'complete') database.connections.forceFrame();
    }
  }

  #letGo(why: string): void {
    if (this.#following === undefined) return;
    this.#tools.logger.warn('the database file is not the one that was followed', {
      path: this.settings.path,
      why,
    });
    this.#following.database.close();
    this.#following = undefined;
    this.#tellChange();
  }

  // ---- following ---------------------------------------------------------------------------------------------

  async #follow(following: Following): Promise<boolean> {
    const { database } = following;
    database.wal.refresh();
    const reading = database.wal.header();
    if (reading === undefined) return false;
    if (Buffer.compare(reading.bytes, following.tail.headerBytes) !== 0) {
      await this.#nextLog(following, reading.header.salt1);
      return true;
    }
    this.#spool.compressLingering(this.#tools.clock.now());
    const before = following.tail.position.offsetBytes;
    const grew = await following.tail.advance(pause);
    if (grew) this.#tools.observer.onWalBytes(following.tail.position.offsetBytes - before);
    return grew;
  }

  async #nextLog(following: Following, salt1: number): Promise<void> {
    const { tail, database } = following;
    const jump = (salt1 - tail.chain.header.salt1) >>> 0;
    const doubt = this.#doubtAboutNext(following, jump);
    if (doubt !== undefined) {
      await this.#replaceGeneration(database, doubt);
    } else {
      const isEmpty = tail.position.offsetBytes <= WAL_HEADER_BYTES;
      if (!isEmpty) this.#ends.set(tail.index, tail.position.offsetBytes);
      following.tail = await readLog(database, isEmpty ? tail.index : tail.index + 1, pause);
      following.checkpointedBytes = undefined;
      this.#tools.observer.onWalBytes(following.tail.position.offsetBytes);
    }
    this.#save({ durable: false });
  }

  #doubtAboutNext({ tail, database }: Following, saltJump: number): string | undefined {
    if (tail.index + 1 > INDEX_MAX) return 'the index has reached its maximum';
    if (!database.connections.holding) return 'the log was restarted while it was not pinned';
    if (saltJump === 0 || saltJump > SALT_JUMP_MAX) return 'the log was replaced by an unrelated one';
    return undefined;
  }

  // ---- checkpoints -------------------------------------------------------------------------------------------

  async #maintain(): Promise<void> {
    const following = this.#following;
    const nowMs = this.#tools.clock.monotonicMs();
    if (following === undefined || nowMs < following.notBeforeMs) return;
    const { tail } = following;
    const decision = decideCheckpoint(
      {
        pageSizeBytes: tail.pageSizeBytes,
        tailBytes: tail.position.offsetBytes,
        checkpointedBytes: following.checkpointedBytes,
        sinceLastMs: nowMs - following.lastCheckpointMs,
        unconfirmedBytes: this.#unconfirmedBytes(tail),
        isShipping: this.#consumers.isMoving(nowMs),
      },
      this.settings.checkpoint,
    );
    if (decision !== 'none') await this.#checkpoint(following);
  }

  #unconfirmedBytes(tail: LogTail): number {
    const slowest = this.#consumers.slowest();
    if (slowest === undefined || slowest.index > tail.index) return 0;
    const from = slowest.index < tail.index ? 0 : slowest.offsetBytes;
    return (
      tail.position.offsetBytes -
      Math.max(from, this.#spool.coveredUntil({ index: tail.index, offsetBytes: from }) ?? 0)
    );
  }

  async #checkpoint(following: Following): Promise<void> {
    const startedMs = this.#tools.clock.monotonicMs();
    let outcome: HandoverOutcome;
    try {
      outcome = await handOver({
        path: this.settings.path,
        connections: following.database.connections,
        tail: following.tail,
        captureMost: async () => this.#captureMost(following),
        capture: () => this.#captureNow(following),
        checkpointedBytes: following.checkpointedBytes ?? 0,
      });
    } catch (error) {
      this.#tools.observer.onCheckpoint(this.#tools.clock.monotonicMs() - startedMs, error);
      throw error;
    }
    this.#afterCheckpoint(following, outcome, startedMs);
  }

  #afterCheckpoint(following: Following, outcome: HandoverOutcome, startedMs: number): void {
    const nowMs = this.#tools.clock.monotonicMs();
    this.#save({ durable: false });
    if (outcome !== 'busy') {
      following.lastCheckpointMs = nowMs;
      this.#tools.observer.onCheckpoint(nowMs - startedMs);
    }
    if (outcome === 'complete') {
      following.checkpointedBytes = following.tail.position.offsetBytes;
      following.hinderedWaitMs = 0;
      return;
    }
    following.hinderedWaitMs = Math.min(
      HINDERED_WAIT_MAX_MS,
      Math.max(HINDERED_WAIT_MS, following.hinderedWaitMs * 2),
    );
    following.notBeforeMs = nowMs + following.hinderedWaitMs;
    this.#tools.logger.debug('the checkpoint was hindered', { outcome });
  }

  /** Captures all but a little, without any lock. Answers false when a writer outruns it. */
  async #captureMost(following: Following): Promise<boolean> {
    for (let round = 0; round < CATCH_UP_ROUNDS; round++) {
      while (this.#capturePiece(following)) await pause();
      const before = following.tail.position.offsetBytes;
      await following.tail.advance(pause);
      if (following.tail.position.offsetBytes - before <= SPOOL_PIECE_BYTES) return true;
    }
    return false;
  }

  #captureNow(following: Following): boolean {
    while (this.#capturePiece(following)) continue;
    this.#save({ durable: false });
    return this.#uncaptured(following.tail) === undefined;
  }

  /** The first place in the present log that somebody still needs and the spool does not have. */
  #uncaptured(tail: LogTail): Position | undefined {
    const slowest = this.#consumers.slowest();
    if (slowest === undefined || comparePositions(slowest, tail.position) >= 0) return undefined;
    const needed: Position = slowest.index < tail.index ? { index: tail.index, offsetBytes: 0 } : slowest;
    const offsetBytes = this.#spool.coveredUntil(needed) ?? needed.offsetBytes;
    return offsetBytes < tail.position.offsetBytes ? { index: tail.index, offsetBytes } : undefined;
  }

  /** Puts the next piece that somebody still needs into the spool. Answers false when there is none. */
  #capturePiece(following: Following): boolean {
    const { tail, database } = following;
    const from = this.#uncaptured(tail);
    if (from === undefined) return false;
    if (this.#dropWhoOverflows()) return true;
    const bytes = new Uint8Array(Math.min(SPOOL_PIECE_BYTES, tail.position.offsetBytes - from.offsetBytes));
    // A restart writes the header first: with the old header still there, what was read is of the old log.
    if (database.wal.read(bytes, from.offsetBytes) < bytes.length || !tail.isSameLog()) return false;
    this.#spool.append(from, bytes, this.#tools.clock.now());
    return true;
  }

  /** A destination that has been away so long that the spool is full gives up its chain, not the application. */
  #dropWhoOverflows(): boolean {
    if (this.#spool.sizeBytes < this.settings.spoolLimitBytes) return false;
    const slowest = this.#consumers.slowest();
    for (const [name, position] of this.#consumers.positions) {
      if (slowest === undefined || comparePositions(position, slowest) > 0) continue;
      this.#consumers.drop(name);
      this.#tools.logger.error(
        'the spool is full; the destination will need a fresh snapshot when it is back',
        {
          path: this.settings.path,
          replica: name,
          spoolBytes: this.#spool.sizeBytes,
        },
      );
    }
    this.#spool.prune(this.#consumers.slowest());
    return true;
  }

  // ---- for readers -------------------------------------------------------------------------------------------

  /**
   * The next bytes behind `cursor`, checked, at most `maxBytes` (one frame is always allowed).
   *
   * @param into - a buffer to use again; the answer is good until its next use
   */
  take(cursor: Cursor, maxBytes: number, into?: Uint8Array): Taken {
    const following = this.#following;
    if (following === undefined) return { kind: 'caught-up' };
    const { tail } = following;
    if (cursor.index > tail.index) return { kind: 'lost', why: 'the destination is ahead of the database' };
    const isPresent = cursor.index === tail.index;
    const end = isPresent ? tail.position.offsetBytes : this.#ends.get(cursor.index);
    if (end === undefined) return { kind: 'lost', why: `nothing is known of log ${cursor.index}` };
    const from = positionOf(cursor);
    if (from.offsetBytes >= end || end <= WAL_HEADER_BYTES) {
      return isPresent ? { kind: 'caught-up' } : this.take(startOfLog(cursor.index + 1), maxBytes, into);
    }
    return this.#takeFrom(cursor, end, this.#sourcesOf(following, cursor), {
      pageSizeBytes: tail.pageSizeBytes,
      maxBytes,
      into,
    });
  }

  /** The live log can be restarted at any moment once it is captured; then the spool has what it had. */
  #sourcesOf({ tail, database }: Following, cursor: Cursor): LogBytes[] {
    const spooled: LogBytes = {
      read: (into, offsetBytes) => this.#spool.read(cursor.index, into, offsetBytes),
    };
    if (cursor.index !== tail.index) return [spooled];
    return [liveBytes(database, tail), spooled];
  }

  #takeFrom(cursor: Cursor, end: number, sources: LogBytes[], limits: ReadLimits): Taken {
    const from = positionOf(cursor);
    let problem: unknown;
    for (const source of sources) {
      try {
        const { bytes, cursor: next } = readVerified(source, cursor, end, limits);
        return { kind: 'bytes', bytes, from, cursor: next, previousEndBytes: this.#ends.get(from.index - 1) };
      } catch (error) {
        problem = error;
      }
    }
    return {
      kind: 'lost',
      why: `the log at ${formatPosition(from)} is not to be had any more: ${messageOf(problem)}`,
    };
  }

  /** A destination confirms that it holds everything before `position`. */
  confirm(name: string, position: Position): void {
    this.#consumers.set(name, position, this.#tools.clock.monotonicMs());
    this.#release();
  }

  /** A destination will start anew with a snapshot; nothing is kept for it. */
  drop(name: string): void {
    this.#consumers.drop(name);
    this.#release();
  }

  #release(): void {
    const slowest = this.#consumers.slowest();
    this.#spool.prune(slowest);
    const oldest = slowest?.index ?? Number.POSITIVE_INFINITY;
    for (const index of this.#ends.keys()) {
      if (index < oldest - 1) this.#ends.delete(index);
    }
  }

  /**
   * Where a destination stands whose last segment of `generation` begins at `start` and holds `bytes`.
   * Undefined when what follows it is not to be had here, so that it needs a fresh snapshot.
   */
  async resumeAfter(generation: Generation, start: Position, bytes: Uint8Array): Promise<Cursor | undefined> {
    return this.#mutex.run(async () => {
      const following = this.#following;
      if (following?.generation !== generation) return undefined;
      const chain = chainAfterSegment(following.tail.chain.header, start, bytes);
      if (chain === undefined) return undefined;
      const cursor: Cursor = { index: start.index, chain };
      if (start.index === following.tail.index) {
        const here = await this.#chainAt(following.database, following.tail, chain.offsetBytes);
        const same = here !== undefined && Buffer.compare(checksumBytes(here), checksumBytes(chain)) === 0;
        return same ? cursor : undefined;
      }
      return this.#isAvailable(following, cursor) ? cursor : undefined;
    });
  }

  /** Where a destination stands that has a snapshot at the start of log `index` and no segment yet. */
  async resumeAtStart(generation: Generation, index: number): Promise<Cursor | undefined> {
    return this.#mutex.run(() => {
      const following = this.#following;
      if (following?.generation !== generation) return undefined;
      const cursor = startOfLog(index);
      return index === following.tail.index || this.#isAvailable(following, cursor) ? cursor : undefined;
    });
  }

  /** Whether the rest of an earlier log, and every log between it and the present one, is at hand. */
  #isAvailable(following: Following, cursor: Cursor): boolean {
    for (
      let at = positionOf(cursor);
      at.index < following.tail.index;
      at = { index: at.index + 1, offsetBytes: 0 }
    ) {
      const end = this.#ends.get(at.index);
      if (end === undefined) return false;
      if (at.offsetBytes < end && (this.#spool.coveredUntil(at) ?? 0) < end) return false;
    }
    return cursor.index <= following.tail.index;
  }

  /**
   * Registers a destination that is about to take a first snapshot: from now on everything from the start of the
   * present log is kept for it.
   */
  async attach(name: string): Promise<Cursor> {
    return this.#mutex.run(async () => {
      const following = this.#requireFollowing();
      for (let round = 0; round < CATCH_UP_ROUNDS; round++) {
        const { index } = following.tail;
        this.#consumers.set(name, { index, offsetBytes: 0 });
        if (following.tail.position.offsetBytes < this.settings.spoolLimitBytes) {
          while (this.#capturePiece(following)) await pause();
        }
        if (following.tail.isSameLog()) return startOfLog(index);
        await this.#follow(following);
      }
      throw new RivuletError('DB_BUSY', `${this.settings.path} changes too fast for a snapshot to begin`);
    });
  }

  /**
   * Gives up the present generation, for every destination: one of them holds, in this generation, what does not
   * belong to this database's history.
   */
  async abandonGeneration(generation: Generation, reason: string): Promise<void> {
    await this.#mutex.run(async () => {
      const following = this.#following;
      if (following?.generation === generation) await this.#replaceGeneration(following.database, reason);
    });
    this.#tellChange();
  }

  async #replaceGeneration(database: OpenDatabase, reason: string): Promise<void> {
    this.#following = undefined;
    try {
      this.#following = await this.#newGeneration(database, reason);
    } catch (error) {
      database.close();
      throw error;
    }
    this.#save({ durable: true });
  }

  /** Opens a consistent snapshot at the present end of the log. Close it. @throws RivuletError `DB_BUSY` */
  async openSnapshot(): Promise<Snapshot> {
    return this.#mutex.run(async () => {
      for (let attempt = 0; attempt < PIN_ATTEMPTS; attempt++) {
        const snapshot = await this.#pinSnapshot(this.#requireFollowing(), attempt);
        if (snapshot !== undefined) return snapshot;
        await pause();
      }
      throw new RivuletError('DB_BUSY', `${this.settings.path} changes too fast for a snapshot to begin`);
    });
  }

  /**
   * The position of a read transaction is known when the log's end is the same before and after its begin. First
   * without any lock; a busy writer gets the write lock taken from it for a moment.
   */
  async #pinSnapshot(following: Following, attempt: number): Promise<Snapshot | undefined> {
    await this.#follow(following);
    const present = this.#requireFollowing();
    const { connections } = present.database;
    return attempt < 3 ? this.#pin(present) : connections.withWriteLock(() => this.#pin(present));
  }

  #pin({ database, tail }: Following): Snapshot | undefined {
    if (!tail.isSameLog() || !tail.advanceNow(SPOOL_PIECE_BYTES)) return undefined;
    const before = tail.position.offsetBytes;
    const reader = database.connections.openReader();
    const settled = tail.advanceNow(0) && tail.isSameLog() && tail.position.offsetBytes === before;
    if (!settled) {
      reader.end();
      return undefined;
    }
    return makeSnapshot({
      file: database.file,
      wal: database.wal,
      tail: tail.chain,
      index: tail.index,
      commitPageCount: tail.commitPageCount,
      endRead: () => reader.end(),
      isSameLog: () => tail.isSameLog(),
      pause,
    });
  }

  #requireFollowing(): Following {
    if (this.#following !== undefined) return this.#following;
    throw new RivuletError('DB_NOT_FOUND', `${this.settings.path} is not there`);
  }

  // ---- state -------------------------------------------------------------------------------------------------

  #save(options: { durable: boolean }): void {
    const following = this.#following;
    if (following === undefined) return;
    const { tail } = following;
    writeState(
      join(this.settings.metaPath, 'state.json'),
      {
        generation: following.generation,
        identity: following.database.file.identity,
        index: tail.index,
        header: tail.headerBytes,
        tailBytes: tail.position.offsetBytes,
        tailChecksum: tail.chain.checksum,
        ends: this.#ends,
        confirmed: this.#consumers.positions,
      },
      options,
    );
  }

  /** Writes the state and lets go of everything; the log stays for the next start. */
  async close(): Promise<void> {
    await this.#mutex.run(() => {
      this.#save({ durable: true });
      this.#following?.database.close();
      this.#following = undefined;
      this.#lock?.release();
      this.#lock = undefined;
    });
  }
}

/** The live log as a source that notices when it has become the next one. */
function liveBytes({ wal }: OpenDatabase, { headerBytes }: LogTail): LogBytes {
  return { header: headerBytes, read: (into, offsetBytes) => wal.read(into, offsetBytes) };
}

function checksumBytes(chain: Chain): Uint8Array {
  return new Uint8Array(new Uint32Array(chain.checksum).buffer);
}
