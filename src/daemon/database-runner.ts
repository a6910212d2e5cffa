/** One database and its destinations: made from the configuration, run side by side, ended together. */
import { statSync } from 'node:fs';
import { type Backoff, exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { Mutex } from '../base/mutex.ts';
import { settleAll } from '../base/settle-all.ts';
import type { DatabaseSettings, ReplicaSettings } from '../config/settings.ts';
import { assertUsable } from '../primary/database-file.ts';
import { follow } from '../primary/follow.ts';
import { Primary } from '../primary/primary.ts';
import { Replica } from '../replica/replica.ts';
import { type NotedError, noteError } from '../replica/replica-status.ts';
import { stallLimitMs } from '../replica/stall.ts';
import type { DatabaseMetrics, Metrics, ReplicaMetrics } from '../server/metrics.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { LeavesTemporaries } from '../storage/temporaries.ts';
import type { AlteredDatabase } from './config-changes.ts';
import { removeDaemonNote } from './daemon-note.ts';
import type { DatabaseStatus, ReplicaReport } from './database-status.ts';
import { leaseOf, writtenTo } from './leases.ts';
import type { ReloadableKeys } from './network-backends.ts';
import { StallAlarm } from './stall-alarm.ts';
import { databaseStall, replicaStall, type StallTold } from './stall-told.ts';
import { openStore } from './stores.ts';
import { sweepTemporaries } from './sweep-temporaries.ts';

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 15_000;
/** What goes on failing is said again after so long. */
const REMIND_MS = 60 * 60_000;
const RESTART_HINT = 'This is a fault of Rivulet: restart it, and report this with the log.';
/** Stores give a connection up that is slower than this, unless their configuration makes it slower. */
const SLOWEST_BYTES_PER_MS = 16;

export interface RunnerTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** A destination refuses its credentials, or another process writes there, and the configuration says to end then. */
  readonly onRefused?: (refusal: Refusal) => void;
  /** Called when the database has been opened, and so belongs to this process. */
  readonly onOpened?: (runner: DatabaseRunner) => void;
}

export interface Refusal {
  readonly db: string;
  readonly replica: string;
  readonly error: RivuletError;
}

interface RunningReplica {
  readonly settings: ReplicaSettings;
  readonly replica: Replica;
  readonly store: ObjectStore;
  readonly metrics: ReplicaMetrics;
  readonly alarm: StallAlarm;
  /** When it came to lack what it lacks, in milliseconds since 1970. */
  behindSinceMs: number | undefined;
  /** What can be asked for credentials anew. */
  readonly keys: readonly ReloadableKeys[];
  readonly temporaries: readonly LeavesTemporaries[];
  readonly stop: AbortController;
  /** Undefined until it runs. */
  running: Promise<void> | undefined;
}

/** What has been opened for a replica that does not run yet. */
interface OpenedStore {
  readonly store: ObjectStore;
  readonly keys: readonly ReloadableKeys[];
  readonly temporaries: readonly LeavesTemporaries[];
}

/** What stored files inherit from the database file; nothing when it is not there yet. */
function ownershipOf(path: string): { fileMode?: number; dirMode?: number; uid?: number; gid?: number } {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile()) return {};
  const fileMode = stats.mode & 0o666;
  // Whoever may read a file may enter its directory.
  return { fileMode, dirMode: fileMode | 0o700 | ((fileMode & 0o444) >> 2), uid: stats.uid, gid: stats.gid };
}

export class DatabaseRunner {
  #settings: DatabaseSettings;
  /** Names of all destinations; the primary looks at it whenever it opens the database. */
  readonly #destinations: Set<string>;
  /** Opening and changing one after another. */
  readonly #changing = new Mutex();
  /** While it runs: ends it. */
  #signal: AbortSignal | undefined;
  readonly #refused = new Set<string>();
  readonly #tools: RunnerTools;
  readonly #metrics: DatabaseMetrics;
  readonly #backoff: Backoff = exponentialBackoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  #primary: Primary | undefined;
  #replicas: RunningReplica[] = [];
  #failure: string | undefined;
  #lastError: Omit<NotedError, 'isOver'> | undefined;
  /** What was said about a failure last. */
  #told: { readonly kind: string; readonly atMs: number } | undefined;
  readonly #alarm: StallAlarm;
  #looks = 0;
  #lookedAtMs: number | undefined;

  constructor(settings: DatabaseSettings, tools: RunnerTools) {
    this.#settings = settings;
    this.#destinations = new Set(settings.replicas.map(({ name }) => name));
    this.#tools = { ...tools, logger: tools.logger.child({ db: settings.path }) };
    this.#metrics = tools.metrics.database(settings.path);
    this.#alarm = new StallAlarm(tools.clock, this.#tools.logger);
  }

  /** What is in effect. */
  get settings(): DatabaseSettings {
    return this.#settings;
  }

  get isOpen(): boolean {
    return this.#primary !== undefined;
  }

  /**
   * Opens the database, if it is there, and its destinations.
   *
   * @throws RivuletError `DB_INVALID`, `DB_UNREADABLE`, `DB_IN_USE`, `STATE_INVALID`: nothing stays open
   */
  async open(): Promise<void> {
    await this.#changing.run(async () => this.#open());
  }

  async #open(): Promise<void> {
    const { clock, logger } = this.#tools;
    const { settings } = this;
    assertUsable(settings.path);
    const primary = new Primary(
      {
        path: settings.path,
        metaPath: settings.metaPath,
        checkpoint: {
          minPages: settings.minCheckpointPageCount,
          maxPages: settings.maxCheckpointPageCount,
          intervalMs: settings.checkpointIntervalMs,
          walLimitBytes: settings.walLimitBytes,
        },
        spoolLimitBytes: settings.spoolLimitBytes,
        busyTimeoutMs: settings.busyTimeoutMs,
        destinations: this.#destinations,
      },
      { clock, logger, observer: this.#primaryObserver() },
    );
    try {
      await primary.refresh();
      for (const replica of settings.replicas) {
        this.#replicas.push(this.#makeReplica(primary, replica, await this.#openStore(replica)));
      }
    } catch (error) {
      await primary.close();
      throw error;
    }
    this.#primary = primary;
    this.#tools.onOpened?.(this);
  }

  #primaryObserver() {
    const metrics = this.#metrics;
    return {
      onSync: (elapsedMs: number) => metrics.addSync({ elapsedMs, failed: false }),
      onWalBytes: (bytes: number) => {
        metrics.addWalBytes(bytes);
        this.#fallBehind();
      },
      onCheckpoint: (elapsedMs: number, error?: unknown) =>
        metrics.addCheckpoint({ mode: 'PASSIVE', elapsedMs, failed: error !== undefined }),
      onGeneration: () => undefined,
    };
  }

  /** There is something new to store: whoever had everything until now lacks it from now on. */
  #fallBehind(): void {
    const nowMs = this.#tools.clock.now();
    for (const one of this.#replicas) {
      const caughtUpAtMs = one.replica.status.caughtUpAtMs ?? Number.NEGATIVE_INFINITY;
      if (one.behindSinceMs === undefined || caughtUpAtMs >= one.behindSinceMs) one.behindSinceMs = nowMs;
    }
  }

  async #openStore(settings: ReplicaSettings): Promise<OpenedStore> {
    const { clock, metrics, logger } = this.#tools;
    const { type } = settings.destination;
    const keys: ReloadableKeys[] = [];
    const temporaries: LeavesTemporaries[] = [];
    const store = await openStore(settings, {
      clock,
      logger: logger.child({ replica: settings.name }),
      file: ownershipOf(this.settings.path),
      meter: {
        operation: (kind, count) => {
          for (let n = 0; n < count; n++) metrics.addOperation(type, kind);
        },
        bytes: (kind, count) => metrics.addOperationBytes(type, kind, count),
      },
      onKeys: (one) => keys.push(one),
      onTemporaries: (one) => temporaries.push(one),
    });
    return { store, keys, temporaries };
  }

  #makeReplica(primary: Primary, settings: ReplicaSettings, opened: OpenedStore): RunningReplica {
    const { store } = opened;
    const { clock, metrics, logger } = this.#tools;
    const own = metrics.replica(this.settings.path, settings.name);
    const leaseTools = { store, clock, logger: logger.child({ replica: settings.name }) };
    const lease = leaseOf(this.#settings, settings, leaseTools);
    const replica = new Replica(
      {
        name: settings.name,
        metaPath: this.settings.metaPath,
        syncIntervalMs: settings.syncIntervalMs,
        retentionMs: settings.retentionMs,
        retentionCheckIntervalMs: settings.retentionCheckIntervalMs,
        snapshotIntervalMs: settings.snapshotIntervalMs,
        validationIntervalMs: settings.validationIntervalMs,
        recordsUploads: settings.age !== undefined,
        isEncrypted: settings.age !== undefined,
        verify: settings.verify,
      },
      {
        primary,
        store: writtenTo(store, lease),
        clock,
        logger,
        observer: {
          onSegment: (bytes, position) => {
            own.addWalBytes(bytes);
            own.setConfirmed(position);
          },
          onSnapshot: () => undefined,
          onValidation: (ok) => own.addValidation(ok ? 'ok' : 'error'),
          onProof: (depth, outcome) => own.addProof(depth, outcome),
          onFailure: (error) => this.#replicaFailed(settings, error),
          onRecovery: () => undefined,
        },
        lease,
      },
    );
    return {
      ...opened,
      settings,
      replica,
      metrics: own,
      alarm: new StallAlarm(clock, logger.child({ replica: settings.name })),
      behindSinceMs: undefined,
      stop: new AbortController(),
      running: undefined,
    };
  }

  /** Runs until `signal` aborts. Never rejects: what ends it before is told, and is bad health from then on. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#follow(signal);
    } catch (error) {
      this.#brokeDown(error);
    }
  }

  /** The database is not looked at any more. What has been read is still sent. */
  #brokeDown(error: unknown): void {
    this.#failure = messageOf(error);
    this.#lastError = { ...noteError(error, this.#tools.clock.now()), hint: RESTART_HINT };
    this.#tools.logger.error('the database is not followed any more', { error, hint: RESTART_HINT });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const primary = await this.#openAtLast(signal);
    if (primary === undefined) return;
    this.#signal = signal;
    for (const replica of this.#replicas) this.#start(replica);
    await follow({
      primary,
      clock: this.#tools.clock,
      pollIntervalMs: this.settings.monitorIntervalMs,
      onFailure: (error) => this.#failed(error),
      onSuccess: () => this.#succeeded(),
      signal,
    });
    // A change that is under way ends what it has begun to end, and begins nothing any more.
    await this.#changing.run(async () => Promise.all(this.#replicas.map(async ({ running }) => running)));
  }

  #start(one: RunningReplica): void {
    const signal = this.#signal;
    if (signal === undefined || one.running !== undefined) return;
    if (signal.aborted) one.stop.abort();
    else
      signal.addEventListener('abort', () => one.stop.abort(signal.reason), {
        once: true,
        signal: one.stop.signal,
      });
    const replicating = one.replica.run(one.stop.signal).catch((error: unknown) => this.#ended(one, error));
    one.running = Promise.all([replicating, this.#sweep(one)]).then(() => undefined);
  }

  async #sweep({ settings, temporaries, stop }: RunningReplica): Promise<void> {
    const { clock } = this.#tools;
    const logger = this.#tools.logger.child({ replica: settings.name });
    const { signal } = stop;
    await Promise.all(temporaries.map(async (store) => sweepTemporaries({ store, clock, logger, signal })));
  }

  /** A database that could not be opened at the start is tried again for ever. */
  async #openAtLast(signal: AbortSignal): Promise<Primary | undefined> {
    while (!signal.aborted && this.#primary === undefined) {
      try {
        await this.open();
        this.#succeeded();
      } catch (error) {
        await this.#tools.clock.sleep(this.#failed(error), signal).catch(() => undefined);
      }
    }
    return this.#primary;
  }

  // ---- changes while it runs -----------------------------------------------------------------------------------

  /** Asks the sources of all credentials anew; what is at hand stays in use meanwhile. */
  async reloadKeys(): Promise<void> {
    await settleAll(this.#replicas.flatMap(({ keys }) => keys.map(async (one) => one.reload())));
  }

  /**
   * Takes other replicas while the database is followed on: those that are not named are not touched. A replica that
   * cannot be opened as it is to be stays as it was, which is logged.
   *
   * @param budgetMs - how long each replica that ends may take for its last changes
   */
  async change({ settings, replicas }: AlteredDatabase, budgetMs: number): Promise<void> {
    await this.#changing.run(async () => {
      const kept = new Map(this.#settings.replicas.map((one) => [one.name, one]));
      for (const name of replicas.removed) {
        await this.#remove(name, budgetMs);
        kept.delete(name);
      }
      for (const one of [...replicas.changed, ...replicas.added]) {
        if (await this.#put(one, budgetMs)) kept.set(one.name, one);
      }
      this.#settings = { ...settings, replicas: [...kept.values()] };
    });
  }

  async #remove(name: string, budgetMs: number): Promise<void> {
    const one = this.#running(name);
    if (one !== undefined) await this.#end(one, budgetMs);
    this.#destinations.delete(name);
    this.#primary?.drop(name);
    this.#tools.metrics.removeReplica(this.settings.path, name);
  }

  /** Puts a replica in the place of the one of the same name, if there is one. Answers false when it cannot be opened. */
  async #put(settings: ReplicaSettings, budgetMs: number): Promise<boolean> {
    this.#destinations.add(settings.name);
    const primary = this.#primary;
    if (primary === undefined || this.#signal?.aborted === true) return true;
    const old = this.#running(settings.name);
    let opened: OpenedStore;
    try {
      opened = await this.#openStore(settings);
    } catch (error) {
      const message = 'a replica was not changed: its destination cannot be opened';
      const hint = 'Correct the configuration and send SIGHUP again; the replica goes on as it was.';
      this.#tools.logger.error(message, { replica: settings.name, error, hint });
      if (old === undefined) this.#destinations.delete(settings.name);
      return false;
    }
    if (old !== undefined) await this.#end(old, budgetMs);
    const one = this.#makeReplica(primary, settings, opened);
    this.#replicas.push(one);
    this.#start(one);
    return true;
  }

  #running(name: string): RunningReplica | undefined {
    return this.#replicas.find(({ settings }) => settings.name === name);
  }

  /** The last changes, and the end. For a destination that fails anyway nobody waits. */
  async #end(one: RunningReplica, budgetMs: number): Promise<void> {
    one.stop.abort();
    await one.running;
    this.#replicas = this.#replicas.filter((other) => other !== one);
    this.#refused.delete(one.settings.name);
    const isFailing = one.replica.status.state === 'failing';
    try {
      if (isFailing) await one.replica.letGo();
      else await one.replica.finish(this.#tools.clock.monotonicMs() + budgetMs);
    } catch (error) {
      this.#tools.logger.warn(messageOf(error), { replica: one.settings.name, error });
    } finally {
      await one.store.close();
    }
  }

  /** A replica ends by itself when it must not write, and must not wait until it may. */
  #ended({ settings: { name } }: RunningReplica, error: unknown): void {
    if (!isRivuletError(error)) {
      const fields = { replica: name, error, hint: RESTART_HINT };
      this.#tools.logger.error('nothing is sent to the replica any more', fields);
      return;
    }
    this.#tools.onRefused?.({ db: this.settings.path, replica: name, error });
  }

  #replicaFailed({ name, destination }: ReplicaSettings, error: unknown): void {
    if (destination.type === 'file' || destination.onAuthFailure !== 'exit') return;
    if (!isRivuletError(error, 'CREDENTIALS_FAILED', 'STORAGE_DENIED')) return;
    // What only a duty is refused, such as deleting, does not stop the shipping: then the replica does not fail.
    queueMicrotask(() => {
      const { state, lastError } = this.#running(name)?.replica.status ?? {};
      if (state !== 'failing' || lastError?.message !== messageOf(error)) return;
      this.#refused.add(name);
      this.#tools.onRefused?.({ db: this.settings.path, replica: name, error });
    });
  }

  // ---- the end -------------------------------------------------------------------------------------------------

  /** Ships once what is there, with the snapshot and the clean-up that are due. */
  async once(signal: AbortSignal): Promise<void> {
    if (this.#primary === undefined) await this.open();
    if (this.#primary?.status === 'waiting') {
      throw new RivuletError('DB_NOT_FOUND', `the database ${this.settings.path} does not exist`);
    }
    await settleAll(this.#replicas.map(async ({ replica }) => replica.once(signal)));
  }

  /**
   * Sends what is left until `deadlineMs` (monotonic), then lets go of everything.
   *
   * @returns the destinations that did not get everything, with the reason
   */
  async finish(deadlineMs: number): Promise<readonly { readonly name: string; readonly error: unknown }[]> {
    const failed: { name: string; error: unknown }[] = [];
    await Promise.all(
      this.#replicas.map(async ({ replica }) => {
        try {
          // Whoever refuses the credentials is not asked until the deadline.
          const isRefused = this.#refused.has(replica.settings.name);
          await replica.finish(isRefused ? this.#tools.clock.monotonicMs() : deadlineMs);
        } catch (error) {
          failed.push({ name: replica.settings.name, error });
          this.#tools.logger.error(messageOf(error), { replica: replica.settings.name, error });
        }
      }),
    );
    await this.close();
    return failed;
  }

  async close(): Promise<void> {
    // While the database belongs to this process: a moment later the note may be that of the next one.
    if (this.isOpen) removeDaemonNote(this.settings.metaPath);
    await this.#primary?.close();
    for (const { store } of this.#replicas) await store.close();
    this.#primary = undefined;
    this.#replicas = [];
  }

  status(): DatabaseStatus {
    const primary = this.#primary;
    const stalledSinceMs = this.#alarm.sinceMs;
    const sizes = this.#sizes();
    return {
      path: this.settings.path,
      state: stalledSinceMs === undefined ? this.#state() : 'stalled',
      generation: primary?.generation,
      committed: primary?.position,
      lookedAtMs: this.#lookedAtMs,
      databaseBytes: sizes?.databaseBytes,
      walBytes: sizes?.walBytes,
      walPinnedBy: primary?.pin,
      spoolBytes: primary?.spoolBytes ?? 0,
      lastError: this.#lastError && { ...this.#lastError, isOver: this.#failure === undefined },
      stalledSinceMs,
      replicas: this.#replicas.map((one) => this.#report(one)),
    };
  }

  #state(): DatabaseStatus['state'] {
    return this.#failure === undefined ? (this.#primary?.status ?? 'waiting') : 'failing';
  }

  /** Undefined also when the files cannot be asked this moment: whoever asks wants to hear the rest. */
  #sizes(): ReturnType<Primary['sizes']> {
    try {
      return this.#primary?.sizes();
    } catch {
      return undefined;
    }
  }

  #report(one: RunningReplica): ReplicaReport {
    const { replica, store, alarm } = one;
    const { status } = replica;
    const [keys] = one.keys;
    const isStalled = alarm.sinceMs !== undefined && status.state !== 'lost' && status.state !== 'standby';
    return {
      ...status,
      state: isStalled ? 'stalled' : status.state,
      destination: store.location,
      ...this.#lagOf(one),
      stalledSinceMs: alarm.sinceMs,
      ...(keys === undefined ? {} : { credentials: keys.status }),
    };
  }

  #lagOf({ replica, behindSinceMs }: RunningReplica): { lagBytes: number; lagMs: number } {
    const primary = this.#primary;
    const { confirmed, caughtUpAtMs } = replica.status;
    if (primary?.position === undefined || replica.isCaughtUp) return { lagBytes: 0, lagMs: 0 };
    const from = confirmed ?? { index: primary.position.index, offsetBytes: 0 };
    // What it had when it last had everything is not lacking: the oldest change that it lacks came later.
    const sinceMs =
      caughtUpAtMs === undefined
        ? replica.startedAtMs
        : Math.max(caughtUpAtMs, behindSinceMs ?? caughtUpAtMs);
    return {
      lagBytes: primary.bytesBetween(from, primary.position),
      lagMs: Math.max(0, this.#tools.clock.now() - sinceMs),
    };
  }

  // ---- standing still --------------------------------------------------------------------------------------------

  /** The shortest `stall-after` of the replicas; infinity when none of them has one. */
  get stallAfterMs(): number {
    return this.settings.replicas.reduce(
      (least, { stallAfterMs }) => (stallAfterMs === 0 ? least : Math.min(least, stallAfterMs)),
      Number.POSITIVE_INFINITY,
    );
  }

  /**
   * Looks whether the database is still followed and every destination still moves, and raises the alarm when not.
   *
   * @param gapMsMax - what a gap since the last look counts for at most
   */
  watch(gapMsMax: number): void {
    const nowMs = this.#tools.clock.monotonicMs();
    this.#watchDatabase(nowMs, gapMsMax);
    for (const one of this.#replicas) this.#watchReplica(one, nowMs, gapMsMax);
  }

  #watchDatabase(nowMs: number, gapMsMax: number): void {
    const primary = this.#primary;
    const { position, generation } = primary ?? {};
    const facts = {
      nowMs,
      gapMsMax,
      // Also a look that never ends, and a loop that has ended: then the files know more than the last look.
      hasWork: this.#failure !== undefined || primary === undefined || primary.hasUnseen(),
      progress: [this.#looks, generation, position?.index, position?.offsetBytes].join(' '),
    };
    const limitMs = this.stallAfterMs + this.settings.monitorIntervalMs;
    if (!this.#alarm.look(facts, limitMs, () => this.#databaseStall())) return;
    const strict = this.settings.replicas.find(({ onStall }) => onStall === 'exit');
    if (strict !== undefined) this.#stallEndsAll(strict.name, this.#databaseStall());
  }

  #databaseStall(): StallTold {
    const { lastError } = this.status();
    return databaseStall(lastError?.isOver === false ? lastError : undefined);
  }

  #watchReplica(one: RunningReplica, nowMs: number, gapMsMax: number): void {
    const { replica, settings } = one;
    const { steps, unseenBytes } = replica.progress;
    const { state, confirmed, generation } = replica.status;
    const facts = {
      nowMs,
      gapMsMax,
      hasWork: state !== 'lost' && state !== 'standby' && !replica.isCaughtUp,
      progress: [steps, generation, confirmed?.index, confirmed?.offsetBytes].join(' '),
    };
    const limitMs = stallLimitMs({
      stallAfterMs: settings.stallAfterMs,
      spacingMs: settings.syncIntervalMs,
      unseenBytes,
      slowestBytesPerMs: slowestBytesPerMs(settings),
    });
    if (!one.alarm.look(facts, limitMs, () => this.#replicaStall(one))) return;
    if (settings.onStall === 'exit') this.#stallEndsAll(settings.name, this.#replicaStall(one));
  }

  #replicaStall(one: RunningReplica): StallTold {
    const { lastError } = one.replica.status;
    const isCause = lastError?.isOver === false && lastError.duty === undefined;
    return replicaStall(isCause ? lastError : undefined, this.#lagOf(one).lagBytes);
  }

  #stallEndsAll(replica: string, { message }: StallTold): void {
    const error = new RivuletError('STALLED', message);
    this.#tools.onRefused?.({ db: this.settings.path, replica, error });
  }

  /** Brings the gauges up to date; called before they are read. */
  measure(): void {
    const primary = this.#primary;
    const sizes = this.#sizes();
    if (sizes !== undefined) this.#metrics.setSizes(sizes);
    if (primary?.position !== undefined) this.#metrics.setPosition(primary.position);
    this.#metrics.setSpool(primary?.spoolBytes ?? 0);
    this.#metrics.setStalled(this.#alarm.sinceMs !== undefined);
    for (const one of this.#replicas) {
      const { replica, metrics } = one;
      metrics.setLag(this.#lagOf(one));
      const { confirmed, lease, syncedAtMs, proof } = replica.status;
      if (proof !== undefined) metrics.setProof(proof);
      metrics.setStalled(this.#report(one).state === 'stalled');
      if (syncedAtMs !== undefined) metrics.setSynced(syncedAtMs);
      if (confirmed !== undefined) metrics.setConfirmed(confirmed);
      if (lease !== undefined) metrics.setLease(lease.phase);
    }
  }

  #failed(error: unknown): number {
    const waitMs = this.#backoff.next();
    this.#metrics.addSync({ elapsedMs: 0, failed: true });
    const message = messageOf(error);
    const nowMs = this.#tools.clock.now();
    this.#lastError = noteError(error, nowMs);
    this.#tellFailure(error, nowMs, Math.round(waitMs));
    this.#failure = message;
    return waitMs;
  }

  /** Once for each kind of failure, and now and then while it goes on; a busy database becomes free by itself. */
  #tellFailure(error: unknown, nowMs: number, retryInMs: number): void {
    const { logger } = this.#tools;
    const kind = isRivuletError(error) ? error.code : messageOf(error);
    const isKnown = this.#told?.kind === kind && nowMs - this.#told.atMs < REMIND_MS;
    if (isKnown) {
      logger.debug('the database cannot be replicated yet', { error, retryInMs });
      return;
    }
    this.#told = { kind, atMs: nowMs };
    if (isRivuletError(error, 'DB_BUSY')) {
      logger.warn('the database is busy; trying again', { error, retryInMs });
    } else {
      const hint = isRivuletError(error) ? error.hint : RESTART_HINT;
      const usual = 'Look at the file and its permissions; it is tried again by itself.';
      logger.error('the database cannot be replicated at the moment', {
        error,
        retryInMs,
        hint: hint ?? usual,
      });
    }
  }

  #succeeded(): void {
    this.#looks++;
    this.#lookedAtMs = this.#tools.clock.now();
    this.#backoff.reset();
    if (this.#failure !== undefined) this.#tools.logger.info('the database is replicated again');
    this.#told = undefined;
    this.#failure = undefined;
  }
}

/** A configured cap is shared by all that a store sends. */
function slowestBytesPerMs({ destination }: ReplicaSettings): number {
  const cap = destination.type === 'file' ? 0 : destination.bandwidthLimitBytes;
  return cap > 0 ? Math.min(SLOWEST_BYTES_PER_MS, cap / 1000) : SLOWEST_BYTES_PER_MS;
}
