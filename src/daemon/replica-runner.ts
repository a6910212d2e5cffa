/** One destination of a database: what its settings make of it, begun, watched, told of and ended. */
import { abortAlong } from '../base/abort-along.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { shellWord } from '../base/shell-word.ts';
import { settleAll } from '../base/settle-all.ts';
import { within } from '../base/within.ts';
import { restoreSource } from '../config/restore-url.ts';
import type { DatabaseSettings, ReplicaSettings } from '../config/settings.ts';
import type { Primary } from '../primary/primary.ts';
import { finalSyncHint } from '../replica/final-sync-hint.ts';
import { Replica } from '../replica/replica.ts';
import { BehindMemory } from '../replica/behind-memory.ts';
import { Lag, type Remembered } from '../replica/lag.ts';
import type { ReplicaObserver } from '../replica/replica-observer.ts';
import type { NotedError } from '../replica/replica-status.ts';
import { type StallFacts, stallLimitMs } from '../replica/stall.ts';
import type { Metrics, ReplicaMetrics } from '../server/metrics.ts';
import type { ReplicaReport } from './database-status.ts';
import { RESTART_HINT } from './follow-failures.ts';
import { leaseOf, writtenTo } from './leases.ts';
import type { OpenedStore } from './replica-store.ts';
import { StallAlarm } from './stall-alarm.ts';
import {
  replicaStall,
  STANDBY_COMMITS,
  STANDBY_HINT,
  stalled,
  standbyStall,
  type StallTold,
} from './stall-told.ts';
import { sweepOnce, sweepTemporaries } from './sweep-temporaries.ts';

/** Stores give a connection up that is slower than this, unless their configuration makes it slower. */
const SLOWEST_BYTES_PER_MS = 16;

/** A stall is over also when there is nothing to do for this process any more. */
const TAKEN_OVER = 'the replica is no longer stalled: another process writes to it';

/** Why everything is to end. */
/** How much longer than its shipping a single run looks for half-written files. */
const SWEEP_MORE_MS = 5_000;

export interface Refusal {
  readonly db: string;
  readonly replica: string;
  readonly error: RivuletError;
}

export interface ReplicaRunnerParts {
  readonly database: Pick<DatabaseSettings, 'path' | 'metaPath'>;
  readonly primary: Primary;
  readonly clock: Clock;
  /** Knows the database. */
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** For how long something may have been committed that was not read; 0 while looks succeed. */
  readonly unreadMs: () => number;
  /** As of `RunnerTools`. */
  readonly onRefused?: ((refusal: Refusal) => void) | undefined;
}

export class ReplicaRunner {
  readonly settings: ReplicaSettings;
  readonly replica: Replica;
  readonly #parts: ReplicaRunnerParts;
  readonly #logger: Logger;
  readonly #opened: OpenedStore;
  readonly #metrics: ReplicaMetrics;
  readonly #alarm: StallAlarm;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  readonly #lag: Lag;
  readonly #behind: BehindMemory;
  /** What a gap since the last look counts for at most; the first look comes at once. */
  #gapMsMax = 0;
  #isRefused = false;
  #isStopped = false;
  #isStandbyTold = false;

  /**
   * Nothing is read or written at the destination yet.
   *
   * @param opened - closed with `close`
   * @throws what the file system does, when the note of the lease in the state directory cannot be written
   */
  constructor(settings: ReplicaSettings, opened: OpenedStore, parts: ReplicaRunnerParts) {
    const { clock, database, metrics, primary } = parts;
    this.settings = settings;
    this.#parts = parts;
    this.#opened = opened;
    this.#logger = parts.logger.child({ replica: settings.name });
    this.#metrics = metrics.replica(database.path, settings.name);
    this.#alarm = new StallAlarm(clock, this.#logger);
    const { store } = opened;
    const files = primary.stateFiles;
    const noteParts = { metaPath: database.metaPath, name: settings.name, files };
    this.#behind = new BehindMemory(noteParts, store.location);
    this.#lag = new Lag(clock.monotonicMs(), this.#remembered());
    const lease = leaseOf(database, settings, { store, clock, logger: this.#logger, files });
    this.replica = new Replica(this.#replicaSettings(), {
      primary,
      store: writtenTo(store, lease),
      clock,
      logger: parts.logger,
      observer: this.#observer(),
      lease,
      files,
    });
  }

  #replicaSettings(): ConstructorParameters<typeof Replica>[0] {
    const { settings } = this;
    const isEncrypted = settings.age !== undefined;
    return {
      name: settings.name,
      restoreSource: restoreSource(settings.destination, settings.name, this.#parts.database.path)
        .map(shellWord)
        .join(' '),
      metaPath: this.#parts.database.metaPath,
      syncIntervalMs: settings.syncIntervalMs,
      retentionMs: settings.retentionMs,
      retentionCheckIntervalMs: settings.retentionCheckIntervalMs,
      isFast: settings.destination.type === 'file',
      snapshotIntervalMs: settings.snapshotIntervalMs,
      validationIntervalMs: settings.validationIntervalMs,
      recordsUploads: isEncrypted,
      isEncrypted,
      verify: settings.verify,
    };
  }

  #observer(): ReplicaObserver {
    const metrics = this.#metrics;
    return {
      onSegment: (bytes, position) => {
        metrics.addWalBytes(bytes);
        metrics.setConfirmed(position);
        this.look();
      },
      onSnapshot: () => undefined,
      onValidation: (ok) => metrics.addValidation(ok ? 'ok' : 'error'),
      onProof: (depth, outcome) => metrics.addProof(depth, outcome),
      onFailure: (error) => this.#failed(error),
      onDutyFailed: (duty) => metrics.addTaskError(duty),
      onRecovery: () => undefined,
    };
  }

  // ---- from the begin to the end -----------------------------------------------------------------------------------

  /** Settles when it has ended; never rejects. Undefined until it runs. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** Replicates until `signal` aborts, or this ends. */
  start(signal: AbortSignal): void {
    if (this.#running !== undefined) return;
    const stop = this.#stop;
    abortAlong(signal, stop);
    const replicating = this.replica.run(stop.signal).catch((error: unknown) => this.#ended(error));
    this.#running = Promise.all([replicating, this.#sweep(stop.signal)]).then(() => undefined);
  }

  /** Ships what is there and does what is due, once. @throws as `Replica.once` does */
  async once(signal: AbortSignal): Promise<void> {
    const shipping = this.replica.once(signal);
    this.#running = shipping.catch(() => undefined);
    const sweep = new AbortController();
    abortAlong(signal, sweep);
    const { temporaries } = this.#opened;
    const logger = this.#logger;
    const sweeping = temporaries.map(async (store) => sweepOnce({ store, logger, signal: sweep.signal }));
    try {
      await shipping;
      await Promise.race([Promise.all(sweeping), this.#parts.clock.sleep(SWEEP_MORE_MS, sweep.signal)]);
    } finally {
      // A run for a moment looks as far as it gets; the next one goes on.
      sweep.abort();
    }
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const logger = this.#logger;
    const { temporaries } = this.#opened;
    await Promise.all(temporaries.map(async (store) => sweepTemporaries({ store, clock, logger, signal })));
  }

  /** A replica ends by itself when it must not write, and must not wait until it may. */
  #ended(error: unknown): void {
    if (isRivuletError(error)) this.#refuse(error);
    else this.#logger.error('nothing is sent to the replica any more', { error, hint: RESTART_HINT });
  }

  #failed(error: unknown): void {
    const { destination } = this.settings;
    if (destination.type === 'file' || destination.onAuthFailure !== 'exit') return;
    if (!isRivuletError(error, 'CREDENTIALS_FAILED', 'STORAGE_DENIED')) return;
    // What only a duty is refused, such as deleting, does not stop the shipping: then the replica does not fail.
    queueMicrotask(() => {
      const { state, lastError } = this.replica.status;
      if (this.#isStopped || state !== 'failing' || lastError?.message !== messageOf(error)) return;
      this.#isRefused = true;
      this.#refuse(error);
    });
  }

  #refuse(error: RivuletError): void {
    this.#parts.onRefused?.({ db: this.#parts.database.path, replica: this.settings.name, error });
  }

  /** Asks the sources of credentials anew; what is at hand stays in use meanwhile. */
  async reloadKeys(): Promise<void> {
    await settleAll(this.#opened.keys.map(async (one) => one.reload()));
  }

  /** Ends what `start` began. What fails from now on ends nothing else. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#isStopped = true;
  }

  /** The last changes, and the end. For a destination that fails anyway nobody waits. */
  async end(budgetMs: number): Promise<void> {
    const isFailing = this.replica.status.state === 'failing';
    try {
      if (isFailing) await this.replica.letGo();
      else await this.replica.finish(this.#parts.clock.monotonicMs() + budgetMs);
    } catch (error) {
      this.#logger.warn(messageOf(error), { error });
    } finally {
      await this.close();
    }
  }

  /**
   * Sends what is left until `deadlineMs` (monotonic). Whoever refuses the credentials is not asked until then.
   *
   * @throws what kept it from storing everything; it is logged
   */
  async finish(deadlineMs: number): Promise<void> {
    try {
      await this.#endedBy(deadlineMs);
      await this.replica.finish(this.#isRefused ? this.#parts.clock.monotonicMs() : deadlineMs);
      this.#requireNothingNoted();
    } catch (error) {
      this.#logger.error(messageOf(error), { error });
      throw error;
    } finally {
      this.#noteLag();
    }
  }

  /** @throws RivuletError `FINAL_SYNC_FAILED` when there is no database any more, and something of the last one is stored nowhere */
  #requireNothingNoted(): void {
    if (this.#notedMs === 0) return;
    const { location } = this.#opened.store;
    const { path } = this.#parts.database;
    const message = `not everything was stored at ${location}: ${path} does not exist any more, and its last changes were not stored before`;
    throw new RivuletError('FINAL_SYNC_FAILED', message, {
      hint: 'Put the database with its -wal back where it was, or remove the state directory if it is not needed.',
    });
  }

  /** What is under way has until then. @throws RivuletError `FINAL_SYNC_FAILED` when it hangs */
  async #endedBy(deadlineMs: number): Promise<void> {
    const { clock } = this.#parts;
    if (this.#running === undefined) return;
    if (await within(clock, deadlineMs - clock.monotonicMs(), this.#running)) return;
    const { location } = this.#opened.store;
    const message = `not everything was stored at ${location} before the end: a call to it does not return`;
    throw new RivuletError('FINAL_SYNC_FAILED', message, { hint: finalSyncHint(undefined) });
  }

  async close(): Promise<void> {
    await this.#opened.store.close();
  }

  // ---- what is told of it ------------------------------------------------------------------------------------------

  /** What the run before has noted, by the monotonic clock. */
  #remembered(): Remembered | undefined {
    const { clock } = this.#parts;
    const { note } = this.#behind;
    if (note === undefined) return undefined;
    return { atMs: clock.monotonicMs() - Math.max(0, clock.now() - note.sinceMs), stored: note.stored };
  }

  /** For the next run. It is for people: where it cannot be written, everything goes on. */
  #noteLag(): void {
    try {
      this.#behind.update(this.#lacks().lagMs, this.replica.stored, this.#parts.clock.now());
    } catch (error) {
      this.#logger.debug('since when the destination is behind was not noted', { error });
    }
  }

  /**
   * Takes note of what is committed and what is stored.
   *
   * @param ageMs - for how long what is committed now has been there at least
   */
  look(ageMs: number = 0): void {
    const { primary, clock } = this.#parts;
    const { replica } = this;
    const { stored } = replica;
    this.#lag.saw(primary, clock.monotonicMs(), ageMs);
    const { isCaughtUp } = replica;
    this.#tellStandby(isCaughtUp);
    if (isCaughtUp) this.#lag.storedAll();
    else if (stored !== undefined) this.#lag.stored(primary, stored);
  }

  /** Once for each time as a standby. */
  #tellStandby(isCaughtUp: boolean): void {
    const isTold =
      !isCaughtUp && this.replica.status.state === 'standby' && this.#parts.primary.status === 'following';
    if (isTold && !this.#isStandbyTold)
      this.#logger.warn(STANDBY_COMMITS, { ...this.#holder, hint: STANDBY_HINT });
    this.#isStandbyTold = isTold;
  }

  /** Who has the lease, when that is another process. */
  get #holder(): { readonly holder?: string } {
    const { holder } = this.replica.status.lease ?? {};
    return holder === undefined ? {} : { holder: `process ${holder.pid} on ${holder.host}` };
  }

  report(): ReplicaReport {
    const { status } = this.replica;
    const { store, keys } = this.#opened;
    const { sinceMs } = this.#alarm;
    const isStalled = sinceMs !== undefined && status.state !== 'lost' && status.state !== 'standby';
    return {
      ...status,
      state: isStalled ? 'stalled' : status.state,
      destination: store.location,
      lastError: this.#lastError,
      ...this.#lacks(),
      stillMs: this.#stillMs,
      stalledSinceMs: sinceMs,
      ...(keys[0] === undefined ? {} : { credentials: keys[0].status }),
    };
  }

  /** What is being tried again comes before what duties have given up to try, and before what is over. */
  get #lastError(): NotedError | undefined {
    const { lastError } = this.replica.status;
    const isShipping = lastError?.isOver === false && lastError.duty === undefined;
    return isShipping ? lastError : (this.#opened.trouble.present ?? lastError);
  }

  /** While there is no database: for how long the destination has lacked something of the last one, as the run before knew. */
  get #notedMs(): number {
    const { note } = this.#behind;
    if (note === undefined || this.#parts.primary.status !== 'waiting') return 0;
    return Math.max(0, this.#parts.clock.now() - note.sinceMs);
  }

  #lacks(): { lagBytes: number; lagCommits: number; lagMs: number } {
    const { clock, unreadMs } = this.#parts;
    // What nobody has read nobody has stored.
    const lagMs = unreadMs();
    if (this.replica.isCaughtUp) return { lagBytes: 0, lagCommits: 0, lagMs: Math.max(lagMs, this.#notedMs) };
    this.look();
    return {
      lagBytes: this.#lag.bytes,
      lagCommits: this.#lag.commits,
      lagMs: Math.max(lagMs, Math.round(this.#lag.ms(clock.monotonicMs()))),
    };
  }

  /** Brings the gauges up to date. */
  measure(): void {
    const metrics = this.#metrics;
    const { state, lagBytes, lagCommits, lagMs, confirmed, lease, syncedAtMs, proof, retentionOverdueMs } =
      this.report();
    metrics.setLag({ lagBytes, lagCommits, lagMs });
    if (proof !== undefined) metrics.setProof(proof);
    metrics.setStalled(state === 'stalled');
    metrics.setRetentionOverdue(retentionOverdueMs);
    if (syncedAtMs !== undefined) metrics.setSynced(syncedAtMs);
    if (confirmed !== undefined) metrics.setConfirmed(confirmed);
    if (lease !== undefined) metrics.setLease(lease.phase);
  }

  /**
   * Looks whether it still moves, and raises the alarm when not.
   *
   * @param gapMsMax - what a gap since the last look counts for at most
   */
  watch(nowMs: number, gapMsMax: number): void {
    const { settings } = this;
    this.#gapMsMax = gapMsMax;
    this.#noteLag();
    const limitMs = stallLimitMs({
      stallAfterMs: settings.stallAfterMs,
      spacingMs: settings.syncIntervalMs,
      unseenMs: this.#unseenMs,
    });
    if (!this.#alarm.look(this.#facts(nowMs), limitMs, () => this.#stall())) return;
    if (settings.onStall === 'exit') this.#refuse(stalled(this.#stall()));
  }

  #facts(nowMs: number): StallFacts {
    this.look();
    const { steps, storedCount } = this.replica.progress;
    const { state } = this.replica.status;
    return {
      nowMs,
      gapMsMax: this.#gapMsMax,
      // A database that cannot be opened stands still itself.
      hasWork: state !== 'lost' && this.#parts.primary.status === 'following' && !this.replica.isCaughtUp,
      // Not where the session stands: one that is opened and given up again and again does not move.
      progress: `${steps} ${this.#lag.storedBytes}`,
      outcome: String(storedCount),
    };
  }

  /** What bodies that are under way may need on the slowest way that is good for anything. */
  get #unseenMs(): number {
    return this.replica.progress.unseenBytes / slowestBytesPerMs(this.settings);
  }

  /** For how long nothing has moved although there is something to store. */
  get #stillMs(): number {
    const stillMs = this.#alarm.stillMs(this.#facts(this.#parts.clock.monotonicMs()));
    // A call that is being tried again has failed: its body is not on a slow way.
    const unseenMs = this.#opened.trouble.present === undefined ? this.#unseenMs : 0;
    return Math.max(0, Math.round(stillMs - unseenMs));
  }

  #stall(): StallTold {
    const lastError = this.#lastError;
    const isCause = lastError?.isOver === false && lastError.duty === undefined;
    const told = replicaStall(isCause ? lastError : undefined, this.#lacks().lagBytes);
    const { state } = this.replica.status;
    if (state === 'standby' && !this.replica.isCaughtUp)
      return standbyStall(this.#holder.holder, this.#lacks().lagBytes);
    return state === 'lost' || state === 'standby' ? { ...told, over: TAKEN_OVER } : told;
  }
}

/** A configured cap is shared by all that a store sends. */
function slowestBytesPerMs({ destination }: ReplicaSettings): number {
  const cap = destination.type === 'file' ? 0 : destination.bandwidthLimitBytes;
  return cap > 0 ? Math.min(SLOWEST_BYTES_PER_MS, cap / 1000) : SLOWEST_BYTES_PER_MS;
}
