/**
 * One destination of one database, at its own pace: finds out where it stands (`session.ts`), ships what is committed
 * (`shipper.ts`), and performs the duties beside that (`duties.ts`).
 *
 *     primary --take--> segment --write--> destination --confirm--> primary
 *
 * Whatever fails is tried again with growing waits, for ever; the database and other destinations never notice.
 */
import { abortAfter } from '../base/abort-after.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import { type Files, systemFiles } from '../base/files.ts';
import { firstOf } from '../base/first-of.ts';
import type { Logger } from '../base/log.ts';
import { SignalEvent } from '../base/signal-event.ts';
import { encodeEnd, endKey } from '../generations/ends.ts';
import type { SnapshotEntry } from '../generations/inventory.ts';
import { encodeKept, keptKey } from '../generations/kept.ts';
import type { OtherContents } from '../generations/other-contents.ts';
import { type Generation, isSnapshotKey, type Position } from '../generations/names.ts';
import { positionOf } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import type { Snapshot } from '../primary/snapshot-source.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { StoredPlace } from './behind-note.ts';
import { isListingBehind, listingBehind } from '../storage/listing-behind.ts';
import { withListingsApart } from '../storage/only-listing-refused.ts';
import { LEASE_KEY } from '../storage/open-register.ts';
import { isWrongPlace } from '../storage/storage-error.ts';
import { Duties, type DutySettings } from './duties.ts';
import { FailureLog, SHIPPING } from './failure-log.ts';
import { createOnly } from './create-only.ts';
import { finalSyncHint } from './final-sync-hint.ts';
import { describeGoneBack } from './former/describe-gone-back.ts';
import type { GoneBack } from './former/gone-back.ts';
import { fencedStore } from './lease/fenced-store.ts';
import type { Lease, Wait } from './lease/lease.ts';
import type { ReplicaObserver } from './replica-observer.ts';
import { latestError, type NotedError, type ReplicaStatus } from './replica-status.ts';
import { isLocalFailure, READING } from './local-failure.ts';
import { openSession, type Session } from './session.ts';
import { Shipper } from './shipper.ts';
import { standApart } from './stand-apart.ts';
import { StoreClock } from './store-clock.ts';
import { type HeldSnapshot, StoredNote } from './stored-note.ts';
import { UploadProgress } from './upload-progress.ts';
import { UploadRecord } from './upload-record.ts';

/** A backlog of this size ships without waiting for the sync interval, so that the log does not grow. */
const URGENT_BACKLOG_BYTES = 16 * 1024 * 1024;
/** While a duty is performed by `once`, shipping goes on in these steps. */
const ONCE_STEP_MS = 20;
/** Listings are up to date within seconds at any service that keeps its word. */
const BEHIND_MS_MAX = 60_000;
/** At the end a database that cannot be read is not waited for as a destination is: whoever ends this process may have little patience. */
const READ_PATIENCE_MS = 2_000;
const READ_RETRY_MS = 250;
/** At the end a lease that somebody removes is taken again so often. */
const LEASES_REMOVED_MAX = 3;
/** What a database lacks is left alone by retention for so long: time for somebody to notice. */
const KEPT_MS = 30 * 24 * 3_600_000;
/** Longest wait before the times of duties are looked at again: clocks can be set. */
const IDLE_WAIT_MS = 60_000;

export interface ReplicaSettings extends DutySettings {
  /** Unique among the destinations of one database. */
  readonly name: string;
  /** What a command is told to find this replica; where it is, when absent. */
  readonly restoreSource?: string;
  /** Least spacing between uploads. */
  readonly syncIntervalMs: number;
  /** Notes what is stored, for a destination that may not be readable from here; see `upload-record.ts`. */
  readonly recordsUploads?: boolean;
  /** Most log bytes in one segment; 8 MiB when absent. */
  readonly segmentBytesMax?: number;
}

export interface ReplicaParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: ReplicaObserver;
  /** Where notes are kept; this machine's when absent. */
  readonly files?: Files;
  /** Held while anything is written; undefined when nothing keeps a second writer out. */
  readonly lease?: Lease | undefined;
}

/** What the primary knows to be committed at one moment. */
interface Committed {
  readonly generation?: Generation | undefined;
  readonly position?: Position | undefined;
}

export class Replica {
  readonly settings: ReplicaSettings;
  readonly #parts: ReplicaParts;
  readonly #shipper: Shipper;
  readonly #duties: Duties;
  readonly #failures: FailureLog;
  /** Of this machine, which are not the destination's. */
  readonly #readFailures: FailureLog;
  readonly #record: UploadRecord | undefined;
  readonly #progress = new UploadProgress();
  /** What the destination holds, also over restarts. */
  readonly #note: StoredNote;
  /** What was told of the destination's contents. */
  readonly #told = new Set<string>();
  /** Marks that are still to be stored; see `kept.ts`. */
  readonly #toBeKept: string[] = [];
  #session: Session | undefined;
  /** Of the hold whose loss is being watched. */
  #heldSignal: AbortSignal | undefined;
  #state: ReplicaStatus['state'] = 'starting';
  /** No object of ours can share its second with what another program stored before this process began. */
  #isApart = false;
  /** Generations in which something may have been sent to this destination. */
  readonly #opened = new Set<Generation>();
  /** The session that ended last, but for the loss of the lease. */
  #before: Session | undefined;
  /** Since when listings have lacked what a session needs to know, by the monotonic clock. */
  #behindSinceMs: number | undefined;
  /** The last attempt ended so. */
  #isChainBroken = false;
  #caughtUpAtMs: number | undefined;
  #syncedAtMs: number | undefined;

  constructor(settings: ReplicaSettings, parts: ReplicaParts) {
    this.settings = settings;
    const { lease } = parts;
    const storeClock = new StoreClock(parts.clock);
    const store = this.#progress.watched(
      storeClock.watched(withListingsApart(parts.store, LEASE_KEY)),
      // Shipping goes on beside later snapshots, so how they get on says nothing about it.
      (key) => this.#session === undefined || !isSnapshotKey(key),
    );
    this.#parts = {
      ...parts,
      store: lease === undefined ? store : fencedStore(store, lease),
      logger: parts.logger.child({ replica: settings.name }),
    };
    this.#failures = new FailureLog(SHIPPING, this.#parts);
    this.#readFailures = new FailureLog(READING, this.#parts);
    this.#note = this.#openNote();
    this.#duties = new Duties(settings, {
      ...this.#parts,
      onStored: (snapshot) => this.#note.holds(snapshot),
      beforeRetention: async (late) => this.#markKept(late),
      session: () => this.#session,
      storeClock,
      stillWriter: async (signal) => lease?.requireHeld(signal),
    });
    this.#record = this.#openRecord();
    this.#shipper = new Shipper({
      ...this.#parts,
      record: this.#record,
      segmentBytesMax: settings.segmentBytesMax,
      onSegment: (session, bytes, position) => this.#segmentStored(session, bytes, position),
    });
  }

  #openNote(): StoredNote {
    const { store, logger, files = systemFiles } = this.#parts;
    const { name, metaPath } = this.settings;
    return new StoredNote({ metaPath, name, location: store.location, files, logger });
  }

  #openRecord(): UploadRecord | undefined {
    const { store, logger, files = systemFiles } = this.#parts;
    const { name, metaPath, recordsUploads = false } = this.settings;
    if (!recordsUploads) return undefined;
    return new UploadRecord({ metaPath, name, location: store.location, files, logger });
  }

  get status(): ReplicaStatus {
    return {
      name: this.settings.name,
      state: this.#stateNow(),
      generation: this.#session?.generation,
      confirmed: this.#session === undefined ? undefined : positionOf(this.#session.cursor),
      syncedAtMs: this.#syncedAtMs,
      caughtUpAtMs: this.#caughtUpAtMs,
      lastError: latestError(this.#lastFailure, this.#duties.lastErrors),
      snapshotDueAtMs: this.#duties.snapshotDueAtMs,
      retentionOverdueMs: this.#duties.retentionOverdueMs,
      lease: this.#parts.lease?.status,
      proof: this.#duties.proof,
    };
  }

  /** Where the destination stands; undefined while that is not known. */
  get stored(): StoredPlace | undefined {
    const session = this.#session;
    return session && { generation: session.generation, position: positionOf(session.cursor) };
  }

  /** What tells whether this destination stands still; see `stall.ts`. */
  get progress(): { readonly steps: number; readonly storedCount: number; readonly unseenBytes: number } {
    const { steps, storedCount } = this.#progress;
    // Who fails has time to try again, but not that of a slow way.
    return { steps, storedCount, unseenBytes: this.#isFailing ? 0 : this.#progress.unseenBytes };
  }

  get #isFailing(): boolean {
    return this.#failures.message !== undefined || this.#readFailures.message !== undefined;
  }

  get #lastFailure(): NotedError | undefined {
    const { last } = this.#readFailures;
    return last?.isOver === false ? last : (this.#failures.last ?? last);
  }

  #stateNow(): ReplicaStatus['state'] {
    const phase = this.#parts.lease?.status.phase;
    if (phase === 'lost') return 'lost';
    if (this.#isFailing) return 'failing';
    return phase === 'standby' ? 'standby' : this.#state;
  }

  /** Whether the destination holds everything that the primary knows to be committed. */
  get isCaughtUp(): boolean {
    return this.#holds(this.#parts.primary);
  }

  /** Whether nothing is known to be there that the destination lacks, although it does not hold what is followed. */
  get #isNothingNew(): boolean {
    const { primary } = this.#parts;
    // What is there, and could not be opened, nobody has read.
    if (primary.status === 'waiting') return !primary.hasUnseen();
    // Another process stores its own changes, and not those of this database.
    return primary.hasNothingNewFor(this.settings.name);
  }

  #holds({ generation, position }: Committed): boolean {
    const { primary, lease } = this.#parts;
    if (primary.status === 'waiting' || lease?.status.phase === 'standby') return this.#isNothingNew;
    const session = this.#session;
    if (session === undefined || session.generation !== generation || generation !== primary.generation)
      return false;
    return position === undefined || this.#shipper.lacks(session, position) === 0;
  }

  /**
   * Runs until `signal` aborts; then resolves once nothing is under way.
   *
   * @throws RivuletError `LEASE_HELD` or `LEASE_LOST` when the process shall end then; `CONFIG_INVALID`
   */
  async run(signal: AbortSignal): Promise<void> {
    const { primary } = this.#parts;
    while (!signal.aborted) {
      try {
        await this.#spacing(signal);
        const seen = primary.changes;
        await this.#sync(true, signal);
        this.#duties.start(signal);
        if (seen === primary.changes) await this.#untilChangeOrDuty(signal);
      } catch (error) {
        if (!signal.aborted) await this.#failed(error, signal);
      }
    }
    await this.#duties.underWay;
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<void> {
    const { lease } = this.#parts;
    if (isRivuletError(error, 'LEASE_HELD')) throw error;
    if (isRivuletError(error, 'LEASE_LOST')) {
      if (lease?.settings.whenHeld === 'exit') throw error;
      return;
    }
    // `mode: on` at a store that cannot do it.
    if (isRivuletError(error, 'CONFIG_INVALID') && lease?.status.phase === 'none') throw error;
    // The destination works: it gets a fresh snapshot at once, however long it was away before.
    const wasBroken = this.#isChainBroken;
    this.#isChainBroken = isRivuletError(error, 'CHAIN_BROKEN');
    if (this.#isChainBroken && !wasBroken) return;
    await this.#afterFailure(error, signal);
  }

  async #afterFailure(error: unknown, signal: AbortSignal): Promise<void> {
    if (isLocalFailure(error)) {
      await this.#wait(this.#readFailures.failed(error), signal);
      return;
    }
    this.#parts.primary.failed(this.settings.name);
    await this.#wait(this.#failures.failed(error), signal);
  }

  /**
   * Ships everything that is committed now; takes a first snapshot if the destination has none.
   *
   * @throws RivuletError as the destination does, `DB_UNREADABLE` or `STATE_INVALID` when this machine cannot read what is
   *   to be shipped; everything confirmed before stays confirmed
   */
  async syncOnce(signal?: AbortSignal): Promise<void> {
    await this.#sync(false, signal);
  }

  /** @param wait - whether to wait while another process holds the lease */
  async #sync(wait: Wait, signal: AbortSignal | undefined, until?: Position): Promise<void> {
    const generation = await this.#writableGeneration(wait, signal);
    if (generation === undefined) return;
    try {
      await this.#shipAll(generation, signal, until);
    } catch (error) {
      if (!isRivuletError(error, 'STORAGE_EXISTS')) throw error;
      // What was about to be stored is there: the answer to an earlier attempt was lost. The destination tells.
      this.#parts.logger.debug('an object is there already; looking again at the destination', { error });
      this.#endSession();
      await this.#shipAgain(generation, signal, until);
    }
    this.#behindSinceMs = undefined;
    this.#failures.recovered();
    this.#readFailures.recovered();
    this.#isChainBroken = false;
  }

  /** What is still in the way, although the destination was just looked at, is not listed there. */
  async #shipAgain(
    generation: Generation,
    signal: AbortSignal | undefined,
    until: Position | undefined,
  ): Promise<void> {
    try {
      await this.#shipAll(generation, signal, until);
    } catch (error) {
      const key = isRivuletError(error, 'STORAGE_EXISTS') ? error.details['key'] : undefined;
      if (typeof key !== 'string') throw error;
      const behind = listingBehind(this.#parts.store.location, key);
      this.#endSession();
      await this.#awaitListing(generation, behind);
      throw behind;
    }
  }

  /** The present generation, once this process may write it. */
  async #writableGeneration(wait: Wait, signal: AbortSignal | undefined): Promise<Generation | undefined> {
    const { primary, lease } = this.#parts;
    const { generation } = primary;
    if (generation === undefined || lease === undefined) return generation;
    const held = await lease.hold(generation, wait, signal);
    if (lease.lossSignal !== this.#heldSignal) this.#watchLoss(lease.lossSignal);
    if (held === 'begin-anew') {
      await primary.abandonGeneration(generation, 'another process has written to the destination meanwhile');
    }
    if (primary.generation !== undefined) await lease.name(primary.generation, signal);
    return primary.generation;
  }

  #watchLoss(signal: AbortSignal): void {
    this.#heldSignal = signal;
    signal.addEventListener('abort', () => this.#lost(signal.reason), { once: true });
  }

  #lost(error: unknown): void {
    const { logger, primary } = this.#parts;
    this.#session = undefined;
    primary.drop(this.settings.name);
    this.#duties.sessionEnded();
    if (isRivuletError(error) && error.details['holder'] === undefined) {
      logger.warn('somebody has removed the lease; taking it again', { error });
    } else {
      logger.error('the lease is lost: later changes of this process are not stored at this destination', {
        error,
      });
    }
  }

  async #openSession(generation: Generation, signal: AbortSignal | undefined): Promise<Session> {
    const { clock } = this.#parts;
    this.#state = 'starting';
    if (!this.#isApart) await standApart(this.#parts, generation, { signal });
    this.#isApart = true;
    let copiedBytes = 0;
    const onCopied = (bytes: number): void => {
      this.#state = 'snapshotting';
      copiedBytes += bytes;
      this.#progress.copied(copiedBytes);
    };
    const upload = async (snapshot: Snapshot): Promise<void> => {
      this.#state = 'snapshotting';
      await this.#duties.upload(generation, snapshot, async () => undefined, signal);
      this.#stored();
    };
    const onSnapshotFound = ({ index, createdAt }: SnapshotEntry): void => {
      this.#note.holds({ generation, index });
      this.#duties.snapshotIsFrom(createdAt);
    };
    const { name, isFast = false } = this.settings;
    const monotonicMs = (): number => clock.monotonicMs();
    const parts = {
      ...this.#parts,
      record: this.#record,
      name,
      isFast,
      signal,
      onCopied,
      upload,
      onSnapshotFound,
      monotonicMs,
      lastHeld: this.#note.held,
      onEmptied: (held: HeldSnapshot) => this.#emptied(held),
      onOther: (contents: OtherContents) => this.#foundOther(contents),
      onGoneBack: (found: GoneBack) => this.#goneBack(found),
    };
    const isNew = this.#opened.size > 0 && !this.#opened.has(generation);
    this.#opened.add(generation);
    const before = this.#before?.generation === generation ? this.#before : undefined;
    try {
      const session = await openSession(parts, generation, { isNew, before });
      await this.#markKeptIfPossible(signal);
      return session;
    } catch (error) {
      if (isListingBehind(error)) await this.#awaitListing(generation, error as RivuletError);
      throw error;
    }
  }

  /** A listing that goes on lacking what is there shall not stop the uploads: another generation needs none. */
  async #awaitListing(generation: Generation, behind: RivuletError): Promise<void> {
    const { clock, primary } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#behindSinceMs ??= nowMs;
    if (nowMs - this.#behindSinceMs < BEHIND_MS_MAX) return;
    this.#behindSinceMs = undefined;
    await primary.abandonGeneration(generation, behind.message);
    throw new RivuletError('CHAIN_BROKEN', behind.message, { cause: behind });
  }

  /** Once, however often the fresh snapshot has to be tried. */
  #emptied({ generation, index }: HeldSnapshot): void {
    const { logger, store } = this.#parts;
    if (!this.#tellsFirst(`emptied ${generation} ${index}`)) return;
    const message = `everything that was stored at ${store.location} is gone: no snapshot is left there`;
    this.#duties.emptied(message);
    logger.error(message, {
      generation,
      next: 'a fresh snapshot is being stored; earlier moments cannot be restored any more',
      hint: 'Find out who or what removed it: a clean-up job, a lifecycle rule, or another program with the same path.',
    });
  }

  #foundOther({ message, hint, key }: OtherContents): void {
    if (!this.#tellsFirst(`other ${key}`)) return;
    this.#parts.logger.warn(`${message}; a replica of Rivulet begins beside it`, { hint });
  }

  #goneBack(found: GoneBack): void {
    const { logger, store, clock } = this.#parts;
    const { generation } = found;
    if (!this.#tellsFirst(`gone back ${generation}`)) return;
    const keptUntilMs = clock.now() + KEPT_MS;
    this.#toBeKept.push(keptKey(generation, keptUntilMs));
    const { message, fields } = describeGoneBack(found, {
      location: store.location,
      source: this.settings.restoreSource ?? store.location,
      keptUntilMs,
    });
    if (found.isCertain) logger.error(message, fields);
    else logger.warn(message, fields);
  }

  /** Marks the generations of which the database lacks something. @throws RivuletError as the store does */
  async #markKept(signal: AbortSignal | undefined): Promise<void> {
    const { store } = this.#parts;
    for (let key = this.#toBeKept.at(-1); key !== undefined; key = this.#toBeKept.at(-1)) {
      await store.write(key, encodeKept(), { signal });
      this.#toBeKept.pop();
    }
  }

  async #markKeptIfPossible(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#markKept(signal);
    } catch (error) {
      if (signal?.aborted === true || !isRivuletError(error)) throw error;
      this.#parts.logger.warn(
        'what the database lacks is not marked yet; it is marked before anything is removed',
        {
          error,
        },
      );
    }
  }

  #tellsFirst(what: string): boolean {
    if (this.#told.has(what)) return false;
    this.#told.add(what);
    return true;
  }

  async #shipAll(
    generation: Generation,
    signal: AbortSignal | undefined,
    until: Position | undefined,
  ): Promise<void> {
    if (this.#session?.generation !== generation) this.#session = await this.#openSession(generation, signal);
    this.#state = 'streaming';
    await this.#ship(this.#session, signal, until);
  }

  async #ship(session: Session, signal: AbortSignal | undefined, until: Position | undefined): Promise<void> {
    try {
      if (await this.#shipper.ship(session, signal, until)) this.#caughtUpAtMs = this.#parts.clock.now();
    } catch (error) {
      if (isRivuletError(error, 'CHAIN_BROKEN')) this.#giveUpSession(error);

      throw error;
    }
  }

  #giveUpSession(error: RivuletError): void {
    this.#parts.logger.warn('the chain to this destination is broken; it gets a fresh snapshot', {
      why: error.message,
    });
    this.#endSession();
    this.#parts.primary.drop(this.settings.name);
  }

  #endSession(): void {
    this.#before = this.#session ?? this.#before;
    this.#session = undefined;
    this.#duties.sessionEnded();
  }

  #stored(): void {
    this.#syncedAtMs = this.#parts.clock.now();
    this.#progress.stored();
  }

  #segmentStored({ generation }: Session, bytes: number, position: Position): void {
    this.#stored();
    this.#parts.primary.confirm(this.settings.name, generation, position);
    this.#parts.observer.onSegment(bytes, position);
    this.#duties.segmentStored();
  }

  /** Ships what is there and does what is due, once. @throws as `syncOnce` does */
  async once(signal: AbortSignal): Promise<void> {
    await this.#parts.primary.refresh();
    await this.#sync('while-silent', signal);
    for (this.#duties.start(signal); this.#duties.underWay !== undefined; this.#duties.start(signal)) {
      while (this.#duties.underWay !== undefined) {
        await Promise.race([this.#duties.underWay, this.#wait(ONCE_STEP_MS, signal)]);
        await this.syncOnce(signal);
      }
    }
    const [failure] = this.#duties.failures;
    if (failure !== undefined) throw failure;
  }

  /**
   * For the end: ships what is committed now, tries again until `deadlineMs` (monotonic) has passed, and leaves a promise
   * that the chain reaches this far. An attempt that hangs is given up at the deadline. What writers add meanwhile is for
   * the next start: they may be faster than the destination.
   *
   * @throws RivuletError `FINAL_SYNC_FAILED`
   */
  async finish(deadlineMs: number): Promise<void> {
    const { clock } = this.#parts;
    const tooLate = new RivuletError('CANCELLED', 'the time for the last changes is over');
    try {
      const leftMs = deadlineMs - clock.monotonicMs();
      await abortAfter(clock, leftMs, async (late) => this.#finishBefore(late), tooLate);
    } finally {
      await this.letGo();
    }
  }

  /** Lets another process write, without anything being sent before. */
  async letGo(): Promise<void> {
    await this.#parts.lease?.release();
  }

  async #finishBefore(late: AbortSignal): Promise<void> {
    const { lease, primary, clock } = this.#parts;
    let problem: unknown;
    let isStored = false;
    let wasBroken = false;
    let goal: Committed = {};
    let unreadSinceMs: number | undefined;
    let leasesRemoved = 0;
    while (!late.aborted) {
      try {
        await primary.refresh();
        const { generation, position } = primary;
        if (goal.generation !== generation) goal = { generation, position };
        await this.#sync(false, late, goal.position);
        isStored = false;
        await this.#requireStanding(late);
        isStored = this.#holds(goal);
        await this.#promiseEnd(late);
        if (this.#holds(goal)) return;
        // Something could not be read, and now it is gone: nobody can tell what was in it.
        if (primary.status === 'waiting') {
          problem ??= new RivuletError(
            'DB_UNREADABLE',
            `${primary.settings.path} could not be read before it was removed`,
          );
          unreadSinceMs ??= clock.monotonicMs();
          if (clock.monotonicMs() - unreadSinceMs >= READ_PATIENCE_MS) break;
        }
        await this.#wait(READ_RETRY_MS, late);
      } catch (error) {
        // A standby may send nothing, which is well as long as it has nothing to send.
        if (isRivuletError(error, 'LEASE_HELD') && lease?.status.phase !== 'lost') {
          if (this.#isNothingNew) return;
          throw this.#finalSyncFailed(error);
        }
        if (isRivuletError(error, 'LEASE_HELD', 'LEASE_LOST')) {
          if (isStored) return;
          if (isRemovedLease(error) && leasesRemoved++ < LEASES_REMOVED_MAX) continue;
          throw this.#finalSyncFailed(error);
        }
        // What the abort itself throws says less than what went wrong before.
        if (!late.aborted || problem === undefined) problem = beneath(error);
        if (isWrongPlace(problem) || isRivuletError(problem, 'DB_INVALID')) break;
        if (isLocalFailure(problem)) {
          unreadSinceMs ??= clock.monotonicMs();
          if (clock.monotonicMs() - unreadSinceMs >= READ_PATIENCE_MS) break;
          this.#readFailures.failed(problem);
          await this.#wait(READ_RETRY_MS, late);
          continue;
        }
        const isNewlyBroken: boolean = isRivuletError(error, 'CHAIN_BROKEN') && !wasBroken;
        wasBroken ||= isNewlyBroken;
        // The destination works: it gets a fresh snapshot at once.
        if (!isNewlyBroken) await this.#afterFailure(problem, late);
      }
    }
    throw this.#finalSyncFailed(problem);
  }

  /** Before the end says that everything is stored: is what it was stored to still there? */
  async #requireStanding(signal: AbortSignal): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    try {
      await this.#shipper.requireStanding(session, signal);
    } catch (error) {
      if (signal.aborted || !isRivuletError(error)) throw error;
      if (error.code !== 'CHAIN_BROKEN') {
        // Everything was stored; what cannot be looked at is not known to be missing.
        this.#parts.logger.debug('what the destination holds could not be looked at', { error });
        return;
      }
      this.#giveUpSession(error);
      throw error;
    }
  }

  #finalSyncFailed(cause: unknown): RivuletError {
    const why = cause === undefined ? 'the time was too short' : messageOf(cause);
    const message = `not everything was stored at ${this.#parts.store.location} before the end: ${why}`;
    return new RivuletError('FINAL_SYNC_FAILED', message, { cause, hint: finalSyncHint(cause) });
  }

  async #promiseEnd(signal: AbortSignal | undefined): Promise<void> {
    if (this.#session === undefined) return;
    const { generation, cursor } = this.#session;
    const position = positionOf(cursor);
    if (position.offsetBytes === 0) return;
    const { store } = this.#parts;
    try {
      await store.write(endKey(generation, position), encodeEnd(position), { ...createOnly(store), signal });
    } catch (error) {
      // The promise of a position says nothing but its name.
      if (!isRivuletError(error, 'STORAGE_EXISTS')) throw error;
    }
  }

  // ---- pace ----------------------------------------------------------------------------------------------------

  /** Waits until the sync interval since the last upload has passed; a large backlog does not wait. */
  async #spacing(signal: AbortSignal): Promise<void> {
    const { clock, primary } = this.#parts;
    for (;;) {
      const waitMs = this.#shipper.lastUploadMs + this.settings.syncIntervalMs - clock.monotonicMs();
      if (waitMs <= 0 || this.#isUrgent()) return;
      await firstOf(signal, (enough) => [primary.waitForChange(enough), clock.sleep(waitMs, enough)]);
      signal.throwIfAborted();
    }
  }

  #isUrgent(): boolean {
    const { generation } = this.#parts.primary;
    if (this.#session === undefined || generation === undefined) return false;
    if (this.#session.generation !== generation) return true;
    return this.#shipper.backlogBytes(this.#session) >= URGENT_BACKLOG_BYTES;
  }

  async #untilChangeOrDuty(signal: AbortSignal): Promise<void> {
    const { clock, primary } = this.#parts;
    const dueMs = this.#duties.nextAtMs();
    const waitMs = dueMs === undefined ? IDLE_WAIT_MS : Math.max(0, dueMs - clock.now());
    // A duty under way is watched, not waited for: it ends with the signal of the whole run.
    const dutyDone = new SignalEvent();
    void this.#duties.underWay?.then(() => dutyDone.fire());
    const lost = new SignalEvent();
    const onLost = (): void => lost.fire();
    this.#heldSignal?.addEventListener('abort', onLost, { once: true });
    await firstOf(signal, (enough) => [
      lost.wait(enough),
      primary.waitForChange(enough),
      dutyDone.wait(enough),
      clock.sleep(Math.min(waitMs, IDLE_WAIT_MS), enough),
    ]);
    this.#heldSignal?.removeEventListener('abort', onLost);
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#parts.clock.sleep(ms, signal).catch(() => undefined);
  }
}

/** Nobody else holds the lease: whoever removed it may have removed everything else with it. */
function isRemovedLease(error: RivuletError): boolean {
  return error.code === 'LEASE_LOST' && error.details['holder'] === undefined;
}

/** What was tried when the time was over, where that is known. */
function beneath(error: unknown): unknown {
  return isRivuletError(error, 'CANCELLED') && isRivuletError(error.cause) ? error.cause : error;
}
