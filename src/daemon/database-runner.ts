/** One database and its destinations: opened together, run side by side, changed while they run, ended together. */
import type { Clock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import { type Files, systemFiles } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { Mutex } from '../base/mutex.ts';
import { settleAll } from '../base/settle-all.ts';
import type { DatabaseSettings, ReplicaSettings } from '../config/settings.ts';
import { assertDirectory, assertUsable, identify, realPathOf } from '../primary/database-file.ts';
import { follow } from '../primary/follow.ts';
import { Primary } from '../primary/primary.ts';
import type { PrimaryObserver } from '../primary/primary-observer.ts';
import type { DatabaseMetrics, Metrics } from '../server/metrics.ts';
import type { AlteredDatabase } from './config-changes.ts';
import type { DescriptorBudget } from './descriptor-budget.ts';
import { notePath, removeDaemonNote } from './daemon-note.ts';
import { removeRuntimeNotes } from './runtime-notes.ts';
import { type DatabaseStatus, unopenedReport } from './database-status.ts';
import { FollowFailures } from './follow-failures.ts';
import { type Refusal, ReplicaRunner } from './replica-runner.ts';
import { type OpenedStore, openReplicaStore } from './replica-store.ts';
import { withOtherProcess } from './other-process.ts';
import { lookalikeHint } from './place-warnings.ts';
import { StallAlarm } from './stall-alarm.ts';
import { databaseStall, stalled, type StallTold } from './stall-told.ts';

/** Looks that are so far apart may have missed when something was written. */
const LONG_GAP_MS = 2_000;

export interface RunnerTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly descriptors: DescriptorBudget;
  /**
   * A destination refuses its credentials, another process writes there, or something stands still, and the
   * configuration says to end then.
   */
  readonly onRefused?: (refusal: Refusal) => void;
  /** Called when the database has been opened, and so belongs to this process; again when its state directory was replaced. */
  readonly onOpened?: (runner: DatabaseRunner) => void;
}

/** A destination that did not get everything. */
export interface FailedReplica {
  readonly name: string;
  readonly error: unknown;
}

export class DatabaseRunner {
  #settings: DatabaseSettings;
  /** Names of all destinations; the primary looks at it whenever it opens the database. */
  readonly #destinations: Set<string>;
  /** Opening and changing one after another. */
  readonly #changing = new Mutex();
  /** While it runs: ends it. */
  #signal: AbortSignal | undefined;
  readonly #tools: RunnerTools;
  readonly #metrics: DatabaseMetrics;
  readonly #failures: FollowFailures;
  readonly #alarm: StallAlarm;
  /** From when on there has been no database, by the monotonic clock. */
  #waitsFromMs: number | undefined;
  /** The same in milliseconds since 1970, once that is longer than `stall-after`. */
  #waitingSinceMs: number | undefined;
  #primary: Primary | undefined;
  #replicas: readonly ReplicaRunner[] = [];
  #looks = 0;
  /** Of the primary, when lags were looked at last. */
  #changes: number | undefined;
  #lookedAtMs: number | undefined;
  /** The same by the monotonic clock. */
  #lookedMs: number | undefined;
  /** Gives back the descriptors that the database was counted with. */
  #release: () => void = () => undefined;
  /** While the database is followed, and when that is over. */
  #looking: Promise<void> | undefined;
  readonly #madeMs: number;
  /** Whether it was to be replicated from now on. */
  #hasRun = false;

  constructor(settings: DatabaseSettings, tools: RunnerTools) {
    const logger = tools.logger.child({ db: settings.path });
    this.#settings = settings;
    this.#destinations = new Set(settings.replicas.map(({ name }) => name));
    this.#tools = { ...tools, logger };
    this.#metrics = tools.metrics.database(settings.path);
    this.#failures = new FollowFailures(tools.clock, logger);
    this.#alarm = new StallAlarm(tools.clock, logger);
    this.#madeMs = tools.clock.monotonicMs();
  }

  /** What is in effect. */
  get settings(): DatabaseSettings {
    return this.#settings;
  }

  /** How the state directory is reached; undefined while the database is not open. */
  get stateFiles(): Files | undefined {
    return this.#primary?.stateFiles;
  }

  get isOpen(): boolean {
    return this.#primary !== undefined;
  }

  // ---- opening -------------------------------------------------------------------------------------------------

  /**
   * Opens the database, if it is there, and its destinations.
   *
   * @throws RivuletError `DB_NOT_FOUND` when its directory does not exist, which is left to the application to make; `DB_INVALID`,
   *   `DB_UNREADABLE`, `DB_IN_USE`, `STATE_INVALID`; what `openStore` throws; what the file system does, when the local state cannot be
   *   written. Nothing stays open then, unless the first look alone failed: it is repeated while this runs
   */
  async open(): Promise<void> {
    assertDirectory(this.settings.path);
    assertUsable(this.settings.path);
    try {
      await this.#openAndLook();
    } catch (error) {
      throw withOtherProcess(error, this.settings);
    }
  }

  async #openAndLook(): Promise<void> {
    const primary = await this.#changing.run(async () => this.#open());
    await primary.refresh();
  }

  async #open(): Promise<Primary> {
    if (this.#primary !== undefined) return this.#primary;
    assertDirectory(this.settings.path);
    await using opened = new AsyncDisposableStack();
    const { path, replicas: destinations } = this.settings;
    const release = opened.adopt(this.#tools.descriptors.take(path, destinations.length), (give) => give());
    const primary = opened.adopt(this.#makePrimary(), async (one) => one.close());
    const replicas: ReplicaRunner[] = [];
    for (const settings of this.settings.replicas) {
      const store = opened.adopt(await this.#openStore(settings), async (one) => one.store.close());
      replicas.push(this.#makeReplica(primary, settings, store));
    }
    opened.move();
    this.#replicas = replicas;
    this.#primary = primary;
    this.#release = release;
    this.#tools.onOpened?.(this);
    return primary;
  }

  #makePrimary(): Primary {
    const { clock, logger } = this.#tools;
    const { settings } = this;
    return new Primary(
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
      { clock, logger, observer: this.#observer() },
    );
  }

  #observer(): PrimaryObserver {
    const metrics = this.#metrics;
    return {
      onSync: (elapsedMs) => {
        metrics.addSync({ elapsedMs, failed: false });
        if (this.#primary?.changes !== this.#changes) this.#lookAtLags();
      },
      onWalBytes: (bytes) => {
        metrics.addWalBytes(bytes);
        this.#lookAtLags();
      },
      onCheckpoint: (elapsedMs, error) =>
        metrics.addCheckpoint({ mode: 'PASSIVE', elapsedMs, failed: error !== undefined }),
      onGeneration: () => undefined,
      onStateDirectory: () => {
        if (this.isOpen) this.#tools.onOpened?.(this);
      },
      onLostRace: () => metrics.addLostRace(),
      onWriteLock: (heldMs) => metrics.addWriteLock(heldMs),
    };
  }

  #lookAtLags(): void {
    this.#changes = this.#primary?.changes;
    const ageMs = this.#changeAgeMs();
    for (const one of this.#replicas) one.look(ageMs);
  }

  /**
   * For how long what is committed now has been there at least. Looks are close together, unless this process has just been
   * started or was stopped for a while: then the log file tells when it was last written.
   */
  #changeAgeMs(): number {
    const { clock } = this.#tools;
    const gapMs = clock.monotonicMs() - (this.#lookedMs ?? Number.NEGATIVE_INFINITY);
    if (gapMs < LONG_GAP_MS) return 0;
    try {
      const facts = systemFiles.stat(`${realPathOf(this.settings.path)}-wal`);
      return facts === undefined ? 0 : Math.min(gapMs, Math.max(0, clock.now() - facts.modifiedAtMs));
    } catch {
      // Whoever follows the database tells what is wrong with its files.
      return 0;
    }
  }

  async #openStore(settings: ReplicaSettings): Promise<OpenedStore> {
    const { clock, metrics } = this.#tools;
    const logger = this.#tools.logger.child({ replica: settings.name });
    return openReplicaStore(this.settings.path, settings, { clock, metrics, logger });
  }

  #makeReplica(primary: Primary, settings: ReplicaSettings, opened: OpenedStore): ReplicaRunner {
    const { clock, logger, metrics, onRefused } = this.#tools;
    const unreadMs = (): number => this.#unreadMs();
    const parts = { database: this.settings, primary, clock, logger, metrics, onRefused, unreadMs };
    return new ReplicaRunner(settings, opened, parts);
  }

  // ---- running -------------------------------------------------------------------------------------------------

  /** Runs until `signal` aborts. Never rejects: what ends it before is told, and is bad health from then on. */
  async run(signal: AbortSignal): Promise<void> {
    this.#hasRun = true;
    try {
      await this.#follow(signal);
    } catch (error) {
      // The database is not looked at any more. What has been read is still sent.
      this.#failures.brokeDown(error);
    }
    // A change that is under way ends what it has begun to end, and begins nothing any more.
    await this.#changing.run(() => undefined);
    await Promise.all(this.#replicas.map(async ({ running }) => running));
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const primary = await this.#openAtLast(signal);
    if (primary === undefined) return;
    this.#signal = signal;
    for (const replica of this.#replicas) replica.start(signal);
    this.#looking = follow({
      primary,
      clock: this.#tools.clock,
      pollIntervalMs: this.settings.monitorIntervalMs,
      onFailure: (error) => this.#failed(error),
      onSuccess: () => this.#succeeded(),
      signal,
    });
    await this.#looking;
  }

  /** A database or a destination that could not be opened at the start is tried again for ever. */
  async #openAtLast(signal: AbortSignal): Promise<Primary | undefined> {
    while (!signal.aborted && this.#primary === undefined) {
      try {
        await this.#openAndLook();
        this.#succeeded();
      } catch (error) {
        const waitMs = this.#failed(error);
        // Whoever makes it writes to the database at once.
        const isAbsent = isRivuletError(error, 'DB_NOT_FOUND');
        const sleepMs = isAbsent ? Math.min(waitMs, this.settings.monitorIntervalMs) : waitMs;
        await this.#tools.clock.sleep(sleepMs, signal).catch(() => undefined);
      }
    }
    return this.#primary;
  }

  #failed(error: unknown): number {
    this.#metrics.addSync({ elapsedMs: 0, failed: true });
    return this.#failures.failed(error);
  }

  #succeeded(): void {
    this.#looks++;
    this.#lookedAtMs = this.#tools.clock.now();
    this.#lookedMs = this.#tools.clock.monotonicMs();
    this.#failures.succeeded(this.#primary?.status === 'following');
  }

  // ---- changes while it runs -----------------------------------------------------------------------------------

  /** Asks the sources of all credentials anew; what is at hand stays in use meanwhile. */
  async reloadKeys(): Promise<void> {
    await settleAll(this.#replicas.map(async (one) => one.reloadKeys()));
  }

  /**
   * Takes other replicas while the database is followed on: those that are not named are not touched. A replica that
   * cannot be begun as it is to be stays as it was, which is logged.
   *
   * @param budgetMs - how long each replica that ends may take for its last changes
   * @returns what kept replicas from being changed
   */
  async change({ settings, replicas }: AlteredDatabase, budgetMs: number): Promise<readonly unknown[]> {
    const refused: unknown[] = [];
    await this.#changing.run(async () => {
      const kept = new Map(this.#settings.replicas.map((one) => [one.name, one]));
      for (const name of replicas.removed) {
        await this.#remove(name, budgetMs);
        kept.delete(name);
      }
      for (const one of [...replicas.changed, ...replicas.added]) {
        const inEffect = await this.#put(one, budgetMs, refused);
        if (inEffect === undefined) kept.delete(one.name);
        else kept.set(one.name, inEffect);
      }
      this.#settings = { ...settings, replicas: [...kept.values()] };
    });
    return refused;
  }

  async #remove(name: string, budgetMs: number): Promise<void> {
    const one = this.#replicaOf(name);
    if (one !== undefined) await this.#end(one, budgetMs);
    this.#destinations.delete(name);
    this.#primary?.drop(name);
    this.#tools.metrics.removeReplica(this.settings.path, name);
  }

  /**
   * Puts a replica in the place of the one of the same name, if there is one.
   *
   * @param refused - gets what keeps it from being put there
   * @returns what is in effect then; undefined when it cannot be begun and was not there before either
   */
  async #put(
    settings: ReplicaSettings,
    budgetMs: number,
    refused: unknown[],
  ): Promise<ReplicaSettings | undefined> {
    const { name } = settings;
    const old = this.#replicaOf(name);
    this.#destinations.add(name);
    const primary = this.#primary;
    if (primary === undefined || this.#signal?.aborted === true) return settings;
    try {
      await this.#begin(primary, settings, budgetMs);
      return settings;
    } catch (error) {
      const hint = 'Remove the cause and send SIGHUP again; the replica goes on as it was.';
      this.#tools.logger.error('a replica was not changed', { replica: name, error, hint });
      refused.push(error);
    }
    if (old !== undefined && (await this.#goesOn(primary, old, budgetMs))) return old.settings;
    this.#destinations.delete(name);
    primary.drop(name);
    return undefined;
  }

  /** Begins a replica. The one of the same name, if there is one, ends when the destination is open. */
  async #begin(primary: Primary, settings: ReplicaSettings, budgetMs: number): Promise<void> {
    await using opening = new AsyncDisposableStack();
    const opened = opening.adopt(await this.#openStore(settings), async ({ store }) => store.close());
    const old = this.#replicaOf(settings.name);
    if (old !== undefined) await this.#end(old, budgetMs);
    const one = this.#makeReplica(primary, settings, opened);
    opening.move();
    this.#replicas = [...this.#replicas, one];
    if (this.#signal !== undefined) one.start(this.#signal);
  }

  /** Whether `old` still runs, or is begun anew. */
  async #goesOn(primary: Primary, old: ReplicaRunner, budgetMs: number): Promise<boolean> {
    if (this.#replicas.includes(old)) return true;
    const { settings } = old;
    try {
      await this.#begin(primary, settings, budgetMs);
      return true;
    } catch (error) {
      const hint = 'Remove the cause and send SIGHUP again.';
      this.#tools.logger.error('nothing is sent to the replica any more', {
        replica: settings.name,
        error,
        hint,
      });
      return false;
    }
  }

  #replicaOf(name: string): ReplicaRunner | undefined {
    return this.#replicas.find(({ settings }) => settings.name === name);
  }

  async #end(one: ReplicaRunner, budgetMs: number): Promise<void> {
    await one.stop();
    this.#replicas = this.#replicas.filter((other) => other !== one);
    await one.end(budgetMs);
  }

  // ---- the end -------------------------------------------------------------------------------------------------

  /** Ships once what is there, with the snapshot and the clean-up that are due. */
  async once(signal: AbortSignal): Promise<void> {
    if (this.#primary === undefined) await this.#openOrClose();
    if (this.#primary?.status === 'waiting') {
      throw new RivuletError('DB_NOT_FOUND', `the database ${this.settings.path} does not exist`);
    }
    await settleAll(this.#replicas.map(async (one) => one.once(signal)));
  }

  async #openOrClose(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Sends what is left until `deadlineMs` (monotonic). A destination that hangs takes no time from the others.
   *
   * @returns the destinations that did not get everything, with the reason
   */
  async sendRest(deadlineMs: number): Promise<readonly FailedReplica[]> {
    // A change that is under way may begin or end some.
    await this.#changing.run(() => undefined);
    if (this.#primary === undefined) return this.#neverSent();
    const failed: FailedReplica[] = [];
    const finishing = this.#replicas.map(async (one) => {
      await one.finish(deadlineMs).catch((error: unknown) => failed.push({ name: one.settings.name, error }));
    });
    await Promise.all(finishing);
    return failed;
  }

  /** Of a database that was to be replicated, and could not be opened since, no destination has anything from this process. */
  #neverSent(): readonly FailedReplica[] {
    if (!this.#hasRun || !this.#isThere()) return [];
    const { last } = this.#failures;
    const message = `nothing of the database was stored: ${last?.message ?? 'it was not opened'}`;
    const error = new RivuletError(
      'FINAL_SYNC_FAILED',
      message,
      last?.hint === undefined ? {} : { hint: last.hint },
    );
    this.#tools.logger.error(message, { error });
    return this.settings.replicas.map(({ name }) => ({ name, error }));
  }

  /** Whether there is a database, or nobody can tell. */
  #isThere(): boolean {
    try {
      return identify(this.settings.path) !== undefined;
    } catch {
      return true;
    }
  }

  async close(): Promise<void> {
    // A last look would open the database again.
    await this.#looking?.catch(() => undefined);
    // While the database belongs to this process: a moment later the note may be that of the next one.
    if (this.stateFiles !== undefined) this.#removeNote(this.stateFiles);
    removeRuntimeNotes(this.settings.path, process.pid);
    const replicas = this.#replicas;
    try {
      await this.#primary?.close();
    } finally {
      this.#primary = undefined;
      this.#replicas = [];
      await settleAll(replicas.map(async (one) => one.close()));
      this.#release();
    }
  }

  /** One that stays names a process that is gone, which whoever reads it finds out. */
  #removeNote(files: Files): void {
    try {
      removeDaemonNote(files, notePath(this.settings.metaPath));
    } catch (error) {
      this.#tools.logger.warn('the note about this process stays in the state directory', { error });
    }
  }

  // ---- what is told of it --------------------------------------------------------------------------------------

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
      readLock: primary?.readLock,
      lastError: this.#failures.last,
      stalledSinceMs,
      waitingSinceMs: this.#waitingSinceMs,
      replicas:
        primary === undefined
          ? this.settings.replicas.map((one) => unopenedReport(one, this.#unreadMs()))
          : this.#replicas.map((one) => one.report()),
    };
  }

  /** For how long something may have been committed that this process has not read; 0 while looks succeed. */
  #unreadMs(): number {
    const sinceMs = this.#tools.clock.monotonicMs() - (this.#lookedMs ?? this.#madeMs);
    const isLate = sinceMs >= LONG_GAP_MS + this.settings.monitorIntervalMs;
    if (!this.#failures.isFailing && !isLate) return 0;
    const isUnseen = this.#primary === undefined ? this.#isThere() : this.#primary.hasUnseen();
    return isUnseen ? Math.max(0, Math.round(sinceMs)) : 0;
  }

  #state(): DatabaseStatus['state'] {
    const { present } = this.#failures;
    if (this.#primary === undefined && present?.code === 'DB_NOT_FOUND') return 'waiting';
    return present !== undefined ? 'failing' : (this.#primary?.status ?? 'waiting');
  }

  /** Undefined also when the files cannot be asked this moment: whoever asks wants to hear the rest. */
  #sizes(): ReturnType<Primary['sizes']> {
    try {
      return this.#primary?.sizes();
    } catch {
      return undefined;
    }
  }

  /** Brings the gauges up to date; called before they are read. */
  measure(): void {
    const primary = this.#primary;
    const sizes = this.#sizes();
    if (sizes !== undefined) this.#metrics.setSizes(sizes);
    if (primary?.position !== undefined) this.#metrics.setPosition(primary.position);
    this.#metrics.setSpool(primary?.spoolBytes ?? 0);
    this.#metrics.setStalled(this.#alarm.sinceMs !== undefined);
    for (const one of this.#replicas) one.measure();
    if (primary === undefined) this.#measureUnopened();
  }

  #measureUnopened(): void {
    const { path, replicas } = this.settings;
    const lag = { lagBytes: 0, lagCommits: 0, lagMs: this.#unreadMs() };
    for (const { name } of replicas) this.#tools.metrics.replica(path, name).setLag(lag);
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
    this.#watchWaiting(nowMs);
    for (const one of this.#replicas) one.watch(nowMs, gapMsMax);
  }

  #watchDatabase(nowMs: number, gapMsMax: number): void {
    const primary = this.#primary;
    const { position, generation } = primary ?? {};
    const facts = {
      nowMs,
      gapMsMax,
      // Also a look that never ends, and a loop that has ended: then the files know more than the last look.
      hasWork: this.#failures.isFailing || primary === undefined || primary.hasUnseen(),
      // Who looks for a database that is gone, with changes that nobody stored, does not get on.
      progress:
        primary?.status === 'waiting'
          ? 'waiting'
          : [this.#looks, generation, position?.index, position?.offsetBytes].join(' '),
    };
    const limitMs = this.stallAfterMs + this.settings.monitorIntervalMs;
    if (!this.#alarm.look(facts, limitMs, () => this.#stall())) return;
    const strict = this.settings.replicas.find(({ onStall }) => onStall === 'exit');
    if (strict === undefined) return;
    this.#tools.onRefused?.({ db: this.settings.path, replica: strict.name, error: stalled(this.#stall()) });
  }

  /** A database that does not come may have a misspelt path, and nobody would ever notice. */
  #watchWaiting(nowMs: number): void {
    if (this.#state() !== 'waiting') {
      this.#waitsFromMs = undefined;
      this.#waitingSinceMs = undefined;
      return;
    }
    this.#waitsFromMs ??= nowMs;
    const waitedMs = nowMs - this.#waitsFromMs;
    if (this.#waitingSinceMs !== undefined || waitedMs < this.stallAfterMs) return;
    this.#waitingSinceMs = Math.round(this.#tools.clock.now() - waitedMs);
    const hint = lookalikeHint(this.settings.path) ?? 'Is its path right, and does the application run?';
    this.#tools.logger.warn('the database still does not exist', { waitedMs: Math.round(waitedMs), hint });
  }

  #stall(): StallTold {
    return databaseStall(this.#failures.present);
  }
}
