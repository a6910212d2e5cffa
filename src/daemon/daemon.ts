/** All databases of one configuration, with the server that tells about them. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { Mutex } from '../base/mutex.ts';
import { readVersion } from '../base/program-version.ts';
import { settleAll } from '../base/settle-all.ts';
import { shellWord } from '../base/shell-word.ts';
import { systemHint } from '../base/system-hint.ts';
import { within } from '../base/within.ts';
import { formatReplicaUrl } from '../config/replica-url.ts';
import { restoreSource } from '../config/restore-url.ts';
import type { Config, DatabaseSettings, ReplicaSettings } from '../config/settings.ts';
import { createMetrics, type Metrics } from '../server/metrics.ts';
import { healthAnswer, jsonAnswer, type Routes } from '../server/answers.ts';
import type { StatusServer } from '../server/http.ts';
import type { ControlSocket } from '../server/control-socket.ts';
import { noteControl, openControl, removeFormerSocket } from './control.ts';
import { type AlteredDatabase, compareConfigs, type ConfigChanges } from './config-changes.ts';
import { DatabaseRunner } from './database-runner.ts';
import { DescriptorBudget } from './descriptor-budget.ts';
import { type DatabaseStatus, type HealthReason, healthReasons } from './database-status.ts';
import { RESTART_HINT } from './follow-failures.ts';
import { withOtherListener } from './other-process.ts';
import type { Refusal } from './replica-runner.ts';
import type { Watchdog } from './watchdog.ts';

/** Progress of a shutdown that takes longer is told each so often. */
const PROGRESS_MS = 2_000;
/** Looks whether anything stands still are this share of `stall-after` apart, within bounds. */
const STALL_LOOKS = 5;
const STALL_LOOK_MIN_MS = 100;
const STALL_LOOK_MAX_MS = 5_000;
/** A gap between two such looks counts for so many times their distance: a busy process is late now and then. */
const STALL_GAP_FACTOR = 2;
/** What a destination or database that is restarted may take for its last changes: it goes on where it was. */
const RESTART_BUDGET_MS = 10_000;
/** After the shutdown timeout, what hangs may take so long to let go before it is left behind. */
const HUNG_GRACE_MS = 2_000;
/** So long the addresses that are listened on may take to close. */
const SERVER_CLOSE_MS = 1_000;
/** Notes about this process are written again each so often: they are in directories that others may clean up. */
const NOTE_MS = 60 * 60_000;
/** What comes after that takes a moment, and longer on a busy machine. Then the process does not end because its main thread hangs. */
const WATCHDOG_GRACE_MS = 7_000;

export interface DaemonTools {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when a destination must not be written to and the configuration says to end then. */
  readonly onRefused?: (refusal: Refusal) => void;
  /** Ends the process when its main thread hangs. */
  readonly watchdog?: Pick<Watchdog, 'limitHang' | 'limitEnd'>;
}

/** Nothing is at its path any more, and something could be made there. */
function isGone(control: ControlSocket): boolean {
  return !control.isCurrent() && !control.isReplaced() && existsSync(dirname(control.path));
}

interface RunningDatabase {
  readonly runner: DatabaseRunner;
  readonly stop: AbortController;
  /** Undefined until it runs. */
  running: Promise<void> | undefined;
}

export class Daemon {
  #config: Config;
  readonly #tools: DaemonTools;
  readonly #metrics: Metrics = createMetrics();
  readonly #descriptors = new DescriptorBudget();
  readonly #changing = new Mutex();
  #isStopping = false;
  #databases: RunningDatabase[];
  #server: StatusServer | undefined;
  readonly #watching = new AbortController();
  readonly #startedAtMs: number;
  #control: ControlSocket | undefined;
  #isReopening = false;
  /** When all notes were written last. */
  #notedMs: number;
  #isHung = false;
  /** Those that the end has taken on. */
  readonly #finished = new Set<RunningDatabase>();

  constructor(config: Config, tools: DaemonTools) {
    this.#config = config;
    this.#tools = tools;
    this.#startedAtMs = tools.clock.now();
    this.#notedMs = tools.clock.monotonicMs();
    this.#databases = config.databases.map((settings) => this.#makeDatabase(settings));
  }

  /** Whether something did not let go when everything was to end: then the process must be ended. */
  get isHung(): boolean {
    return this.#isHung;
  }

  #makeDatabase(settings: DatabaseSettings): RunningDatabase {
    const onOpened = (opened: DatabaseRunner): void => this.#note(opened);
    const runner = new DatabaseRunner(settings, {
      ...this.#tools,
      metrics: this.#metrics,
      descriptors: this.#descriptors,
      onOpened,
    });
    return { runner, stop: new AbortController(), running: undefined };
  }

  get #runners(): readonly DatabaseRunner[] {
    return this.#databases.map(({ runner }) => runner);
  }

  /**
   * Opens every database and begins to replicate. One that cannot be opened is tried again later, beside the others.
   *
   * @throws RivuletError when none can be opened, or when the address for metrics cannot be listened on
   */
  async start(): Promise<void> {
    this.#limitHang();
    try {
      await this.#listen(this.#config.addr);
    } catch (error) {
      throw withOtherListener(error, this.#config.databases);
    }
    try {
      await this.#openAll();
    } catch (error) {
      await settleAll(this.#runners.map(async (runner) => runner.close())).catch(() => undefined);
      await this.#server?.close();
      throw error;
    }
    for (const database of this.#databases) this.#run(database);
    await this.#openControl();
    void this.#watch();
  }

  async #openControl(): Promise<void> {
    // A database that belongs to another process may have given its name to the socket of that one.
    const runner = this.#runners.find(({ isOpen }) => isOpen) ?? this.#runners[0];
    if (runner === undefined) return;
    this.#control = await openControl({
      settings: this.#config.socket,
      databasePath: runner.settings.path,
      statePath: runner.isOpen ? runner.settings.metaPath : undefined,
      routes: this.#routes(),
      logger: this.#tools.logger,
    });
    for (const one of this.#runners) this.#note(one);
    const open = this.#runners.filter(({ isOpen }) => isOpen);
    await Promise.all(open.map(async (one) => removeFormerSocket(one.settings.metaPath, this.#control)));
  }

  /** An application that exchanges its data directory, or whoever cleans up, may take socket and notes away. */
  #keepControl(): void {
    const control = this.#control;
    const nowMs = this.#tools.clock.monotonicMs();
    if (control === undefined || this.#isReopening) return;
    if (isGone(control)) void this.#reopenGone(control);
    else if (nowMs - this.#notedMs < NOTE_MS) return;
    else for (const one of this.#runners) this.#note(one);
    this.#notedMs = nowMs;
  }

  /** After whatever is being changed, which may take its time: the watch waits for nobody. */
  async #reopenGone(control: ControlSocket): Promise<void> {
    this.#isReopening = true;
    await this.#changing.run(async () => {
      this.#isReopening = false;
      if (!this.#isStopping && this.#control === control) await this.#reopenControl();
    });
  }

  #note({ settings, stateFiles }: DatabaseRunner): void {
    if (this.#control === undefined) return;
    const { path, metaPath } = settings;
    noteControl({ path, metaPath, stateFiles }, this.#control, this.#tools.logger);
  }

  #routes(): Routes {
    return {
      '/status': () => jsonAnswer(200, { ...this.#about(), ...this.health() }),
      '/info': () => jsonAnswer(200, this.#info()),
      '/healthz': () => healthAnswer(this.health()),
    };
  }

  #about(): { version: string; pid: number; startedAtMs: number; nowMs: number } {
    const nowMs = this.#tools.clock.now();
    return { version: readVersion(), pid: process.pid, startedAtMs: this.#startedAtMs, nowMs };
  }

  /** In the words of Litestream v0.5. */
  #info(): Readonly<Record<string, unknown>> {
    const { version, pid, startedAtMs, nowMs } = this.#about();
    return {
      version,
      pid,
      uptime_seconds: Math.max(0, Math.round((nowMs - startedAtMs) / 1000)),
      started_at: new Date(startedAtMs).toISOString(),
      database_count: this.#runners.length,
    };
  }

  /** Notices what stands still. Asks files and memory only: no request is made for it. */
  async #watch(): Promise<void> {
    const { signal } = this.#watching;
    while (!signal.aborted) {
      const lookMs = this.#lookMs();
      for (const runner of this.#runners) runner.watch(lookMs * STALL_GAP_FACTOR);
      this.#keepControl();
      await this.#tools.clock.sleep(lookMs, signal).catch(() => undefined);
    }
  }

  /** Where a stall ends the process, so does a main thread that gets no turn any more: it cannot do that itself. */
  #limitHang(): void {
    const strictMs = this.#config.databases.flatMap(({ replicas, monitorIntervalMs }) =>
      replicas
        .filter(({ onStall, stallAfterMs }) => onStall === 'exit' && stallAfterMs > 0)
        .map(({ stallAfterMs }) => stallAfterMs + monitorIntervalMs),
    );
    this.#tools.watchdog?.limitHang(Math.min(...strictMs) + this.#config.shutdownTimeoutMs);
  }

  #lookMs(): number {
    const shortestMs = Math.min(...this.#runners.map(({ stallAfterMs }) => stallAfterMs));
    return Math.min(STALL_LOOK_MAX_MS, Math.max(STALL_LOOK_MIN_MS, shortestMs / STALL_LOOKS));
  }

  #run(database: RunningDatabase): void {
    const { runner, stop } = database;
    const { path, replicas } = runner.settings;
    this.#introduce(path, replicas);
    database.running = runner.run(stop.signal);
  }

  async #openAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const runner of this.#runners) {
      try {
        await runner.open();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 0 || failures.length < this.#runners.length) return;
    if (failures.every((error) => isRivuletError(error, 'DB_BUSY', 'DB_NOT_FOUND'))) return;
    throw failures[0];
  }

  async #listen(addr: string | undefined): Promise<void> {
    if (addr === undefined) return;
    const { startStatusServer } = await import('../server/http.ts');
    this.#server = await startStatusServer({
      addr,
      metrics: {
        contentType: this.#metrics.contentType,
        render: async () => {
          for (const runner of this.#runners) runner.measure();
          return this.#metrics.render();
        },
      },
      health: () => this.health(),
    });
    const { host, port } = this.#server.address;
    this.#tools.logger.info('serving metrics and health', { url: `http://${host}:${port}/metrics` });
  }

  /** What somebody who starts this for the first time wants to know. */
  #introduce(path: string, replicas: readonly ReplicaSettings[]): void {
    for (const { name, destination } of replicas) {
      const source = restoreSource(destination, name, path).map(shellWord).join(' ');
      this.#tools.logger.info('replicating', {
        db: path,
        replica: name,
        to: formatReplicaUrl(destination),
        restoreWith: `rivulet restore -o OUTPUT ${source}`,
      });
    }
  }

  status(): readonly DatabaseStatus[] {
    return this.#runners.map((runner) => runner.status());
  }

  health(): { ok: boolean; reasons: readonly HealthReason[]; databases: readonly DatabaseStatus[] } {
    const databases = this.status();
    const reasons = healthReasons(databases);
    return { ok: reasons.length === 0, reasons, databases };
  }

  // ---- changes while it runs -----------------------------------------------------------------------------------

  /**
   * Makes the configuration in effect another one. Databases and replicas that are the same in both are not touched,
   * except that their credentials are read again; what was changed is restarted, one after the other. What cannot be
   * opened as it is to be is logged, and tried again as at the start.
   *
   * @returns what was different
   * @throws RivuletError `CANCELLED` when everything is to end; what kept the address or a replica from being changed, once all
   *   the rest is in effect
   */
  async reload(next: Config): Promise<ConfigChanges> {
    return this.#changing.run(async () => {
      if (this.#isStopping) throw new RivuletError('CANCELLED', 'everything is to end');
      const changes = compareConfigs(this.#present(), next);
      // A source of credentials may take its time, and what is at hand stays in use meanwhile.
      void this.#reloadKeys();
      this.#config = { ...next, addr: this.#config.addr };
      this.#limitHang();
      const refused: unknown[] = changes.addr ? await this.#relisten(next.addr) : [];
      if (changes.socket) await this.#reopenControl();
      for (const step of this.#steps(changes, next)) {
        // What the end finishes is not to be changed.
        if (this.#isStopping) break;
        refused.push(...((await step()) ?? []));
      }
      if (refused.length > 0) throw refused[0];
      return changes;
    });
  }

  /** Each gives what it could not change. */
  #steps(changes: ConfigChanges, next: Config): (() => Promise<readonly unknown[] | void> | void)[] {
    return [
      ...changes.removed.map((path) => async () => this.#remove(path)),
      ...changes.restarted.map((settings) => async () => this.#restart(settings)),
      ...changes.altered.map((one) => async () => this.#alter(one, next.shutdownTimeoutMs)),
      ...changes.added.map((settings) => () => this.#add(settings)),
    ];
  }

  /** Tells the metrics how asking for another configuration ended. */
  countReload(result: 'ok' | 'error'): void {
    this.#metrics.addReload(result);
  }

  /** What is in effect, which is not what was asked for where something could not be opened. */
  #present(): Config {
    return { ...this.#config, databases: this.#runners.map(({ settings }) => settings) };
  }

  async #reloadKeys(): Promise<void> {
    await settleAll(this.#runners.map(async (runner) => runner.reloadKeys())).catch((error: unknown) => {
      this.#tools.logger.warn('credentials were not reloaded', { error });
    });
  }

  /** The address may be free only when the old server is gone; if the new one cannot have it, the old one comes back. */
  async #relisten(addr: string | undefined): Promise<unknown[]> {
    await this.#server?.close();
    this.#server = undefined;
    try {
      await this.#listen(addr);
      this.#config = { ...this.#config, addr };
      return [];
    } catch (error) {
      const hint = 'Correct `addr` and send SIGHUP again.';
      this.#tools.logger.error(`the address was not changed: ${messageOf(error)}`, { error, hint });
      await this.#listen(this.#config.addr).catch((again: unknown) => {
        this.#tools.logger.error('metrics and health are not served any more', { error: again, hint });
      });
      return [error];
    }
  }

  async #reopenControl(): Promise<void> {
    await this.#control?.close();
    this.#control = undefined;
    await this.#openControl();
  }

  async #remove(path: string): Promise<void> {
    const database = this.#take(path);
    if (database === undefined) return;
    await this.#end(database, this.#config.shutdownTimeoutMs);
    const { replicas } = database.runner.settings;
    this.#metrics.removeDatabase(
      path,
      replicas.map(({ name }) => name),
    );
  }

  async #alter(altered: AlteredDatabase, shutdownTimeoutMs: number): Promise<readonly unknown[]> {
    const runner = this.#runners.find(({ settings }) => settings.path === altered.settings.path);
    if (runner === undefined) return [];
    const refused = await runner.change(altered, Math.min(RESTART_BUDGET_MS, shutdownTimeoutMs));
    const { changed, added } = altered.replicas;
    const names = new Set([...changed, ...added].map(({ name }) => name));
    const { path, replicas } = runner.settings;
    this.#introduce(
      path,
      replicas.filter(({ name }) => names.has(name)),
    );
    return refused;
  }

  async #restart(settings: DatabaseSettings): Promise<void> {
    const old = this.#take(settings.path);
    if (old === undefined) return;
    await this.#end(old, Math.min(RESTART_BUDGET_MS, this.#config.shutdownTimeoutMs));
    const kept = new Set(settings.replicas.map(({ name }) => name));
    for (const { name } of old.runner.settings.replicas) {
      if (!kept.has(name)) this.#metrics.removeReplica(settings.path, name);
    }
    this.#add(settings);
  }

  /** It opens by itself, again and again if it must. */
  #add(settings: DatabaseSettings): void {
    const database = this.#makeDatabase(settings);
    this.#databases = [...this.#databases, database];
    this.#run(database);
  }

  #take(path: string): RunningDatabase | undefined {
    const found = this.#databases.find(({ runner }) => runner.settings.path === path);
    this.#databases = this.#databases.filter((one) => one !== found);
    return found;
  }

  async #end({ runner, stop }: RunningDatabase, budgetMs: number): Promise<void> {
    stop.abort();
    await this.#finishOne(runner, this.#tools.clock.monotonicMs() + budgetMs);
  }

  // ---- the end -------------------------------------------------------------------------------------------------

  /** Ships everything once; a database that fails does not stop the others. @throws the first failure */
  async once(signal: AbortSignal): Promise<void> {
    this.#limitHang();
    void this.#watch();
    await settleAll(this.#runners.map(async (runner) => runner.once(signal)));
  }

  /**
   * Stops looking for changes, sends what is left within `shutdown-timeout`, and closes everything. What hangs is left behind a
   * moment later.
   *
   * @returns how many destinations did not get everything
   */
  async stop(): Promise<number> {
    this.#isStopping = true;
    const { clock, watchdog } = this.#tools;
    const { shutdownTimeoutMs } = this.#config;
    const deadlineMs = clock.monotonicMs() + shutdownTimeoutMs;
    watchdog?.limitEnd(shutdownTimeoutMs + HUNG_GRACE_MS + SERVER_CLOSE_MS + WATCHDOG_GRACE_MS);
    this.#watching.abort();
    const progress = this.#tellProgress(deadlineMs);
    try {
      const present = this.#finishAll(this.#databases, deadlineMs);
      // A change of the configuration that is under way may add some. It may hang, and begins nothing any more.
      const changed = this.#changing.run(() => undefined);
      if (!(await this.#isDoneBy(deadlineMs + HUNG_GRACE_MS, changed))) this.#leaveBehind(undefined, false);
      const known = new Set(this.#finished);
      const added = this.#databases.filter((one) => !known.has(one));
      return (await present) + (await this.#finishAll(added, deadlineMs));
    } finally {
      clearInterval(progress);
      const closed = Promise.allSettled([this.#server?.close(), this.#control?.close()]);
      await within(clock, SERVER_CLOSE_MS, closed);
    }
  }

  #tellProgress(deadlineMs: number): NodeJS.Timeout {
    const { clock, logger } = this.#tools;
    return setInterval(() => {
      const left = this.status().flatMap(({ replicas }) => replicas.filter(({ lagBytes }) => lagBytes > 0));
      logger.info('still sending the last changes', {
        destinations: left.length,
        bytesLeft: left.reduce((sum, { lagBytes }) => sum + lagBytes, 0),
        secondsLeft: Math.max(0, Math.round((deadlineMs - clock.monotonicMs()) / 1000)),
      });
    }, PROGRESS_MS);
  }

  async #isDoneBy(endMs: number, work: Promise<unknown>): Promise<boolean> {
    return within(this.#tools.clock, endMs - this.#tools.clock.monotonicMs(), work);
  }

  /** @returns as `stop` */
  async #finishAll(databases: readonly RunningDatabase[], deadlineMs: number): Promise<number> {
    for (const { stop } of databases) stop.abort();
    for (const one of databases) this.#finished.add(one);
    const failed = await Promise.all(
      databases.map(async ({ runner }) => this.#finishOne(runner, deadlineMs)),
    );
    return failed.reduce((sum, count) => sum + count, 0);
  }

  /** What hangs is left behind. @returns how many of its destinations did not get everything */
  async #finishOne(runner: DatabaseRunner, deadlineMs: number): Promise<number> {
    let failed = runner.settings.replicas.length;
    const finish = async (): Promise<void> => {
      failed = (await runner.sendRest(deadlineMs)).length;
      await runner.close().catch((error: unknown) => this.#notClosed(runner.settings.path, error));
    };
    const isOver = await this.#isDoneBy(deadlineMs + HUNG_GRACE_MS, finish());
    if (!isOver) this.#leaveBehind(runner.settings.path, failed === 0);
    return failed;
  }

  /** What is stored is stored. What the local state lacks, the next start finds out by comparison. */
  #notClosed(path: string, error: unknown): void {
    const hint = systemHint(error) ?? RESTART_HINT;
    this.#tools.logger.error('the database could not be closed in order', { db: path, error, hint });
  }

  #leaveBehind(path: string | undefined, isStored: boolean): void {
    this.#isHung = true;
    const { logger } = this.#tools;
    const db = path === undefined ? {} : { db: path };
    if (isStored) logger.warn('shutdown timed out after all changes had been uploaded', db);
    else {
      const hint = 'The write-ahead log was kept; the next start continues from there.';
      logger.error('shutdown timed out; some changes may not have been uploaded', { ...db, hint });
    }
  }
}
