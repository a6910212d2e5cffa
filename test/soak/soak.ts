/**
 * A long life in fast motion: one Rivulet, three databases, two destinations each, applications that are killed, and
 * destinations that fail, while somebody restores all the time and compares. What must hold is in `run-soak.ts`.
 */
import { appendFileSync, cpSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ApplicationReport } from '../faults/application-settings.ts';
import { Tmpfs } from '../faults/destination/tmpfs.ts';
import { ManagedProcess } from '../faults/process.ts';
import { Random } from '../faults/random.ts';
import { type Health, type LogLine, RIVULET } from '../faults/rivulet.ts';
import { newKeyPair } from '../support/age-keys.ts';
import { LoopbackS3 } from '../support/loopback-s3.ts';
import { LIFE_BEGINS } from './census.ts';
import { Checker, type Target, TARGETS } from './checker.ts';
import { Gate } from './gate.ts';
import { Judge } from './judge.ts';
import { JsonTail } from './log-tail.ts';
import {
  BUCKET,
  DATABASES,
  type SoakDatabase,
  type SoakPlace,
  type SoakSettings,
  TROUBLED_KEY,
  writeConfigs,
} from './place.ts';
import type { Act, SoakPlan, Weather } from './plan.ts';
import { Timeline } from './timeline.ts';
import { fileBytes, folderBytes, type Life, newLife, sampleMetrics, sampleProcess } from './vitals.ts';
import { WeatherMaker } from './weather.ts';

const APPLICATION = fileURLToPath(new URL('../faults/application.ts', import.meta.url));
const READER = fileURLToPath(new URL('../faults/reader.ts', import.meta.url));
const DIRECTORIES_BYTES = 512 * 1024 * 1024;
const STATES_BYTES = 128 * 1024 * 1024;
const LOOK_EVERY_MS = 250;
const VITALS_EVERY_MS = 2_000;
const END_TIMEOUT_MS = 70_000;
const QUIET_TIMEOUT_MS = 90_000;
/** Healthy and without lag for this long, when nobody writes, means that everything was seen and stored. */
const QUIET_FOR_MS = 1_500;
const CHECK_PAUSE_MS = 700;
/** After bad weather, until everything has been tried again. */
export const AFTERMATH_MS = 20_000;
/** What is later than this is left out. */
const LATE_MS = 4_000;

export interface WeatherSpell {
  readonly weather: Weather;
  readonly fromMs: number;
  toMs: number;
}

export interface Happening {
  readonly atMs: number;
  readonly text: string;
}

export class Soak implements AsyncDisposable {
  readonly #plan: SoakPlan;
  readonly #place: SoakPlace;
  readonly #resources = new AsyncDisposableStack();
  readonly #rivulet: ManagedProcess;
  readonly #applications: readonly { readonly process: ManagedProcess; readonly database: SoakDatabase }[];
  readonly #readers: readonly ManagedProcess[];
  readonly #timelines = new Map(DATABASES.map(({ name }) => [name, new Timeline()]));
  readonly #firstSnapshots = new Map<string, number>();
  readonly #logTail: JsonTail<LogLine>;
  readonly #reportTail: JsonTail<ApplicationReport | undefined>;
  readonly #failing = new AbortController();
  readonly log: LogLine[] = [];
  readonly reports: Map<string, number> = new Map();
  readonly lives: Life[] = [];
  readonly story: Happening[] = [];
  readonly spells: WeatherSpell[] = [];
  readonly requests: Map<string, number> = new Map();
  readonly failures: string[] = [];
  readonly acts: Map<string, number> = new Map();
  busy = 0;
  slowestWaitMs = 0;
  walBytesMax = 0;
  /** What logs grew to while an end sent the last changes, or nothing could be put aside: nothing restarts them then. */
  walBytesMaxWaiting = 0;
  spoolBytesMax = 0;
  startedMs = 0;
  #server!: LoopbackS3;
  #gate!: Gate;
  #weather!: WeatherMaker;
  #checker!: Checker;
  #settings!: SoakSettings;
  #url: string | undefined;
  #applicationStarts = 0;
  #isEnding = false;
  readonly #walBytes = new Map<string, number>();

  constructor(plan: SoakPlan, place: SoakPlace) {
    this.#plan = plan;
    this.#place = place;
    this.#logTail = new JsonTail<LogLine>(place.logPath, (text) => ({ level: 'text', msg: text }));
    const outputPath = join(place.folder, 'applications.log');
    this.#reportTail = new JsonTail<ApplicationReport | undefined>(outputPath, (text) => {
      this.#note(`an application printed: ${text}`);
      return undefined;
    });
    this.#rivulet = new ManagedProcess({
      title: 'rivulet',
      file: RIVULET,
      args: () => ['replicate', '-config', place.configPath],
      outputPath: place.logPath,
    });
    this.#applications = DATABASES.flatMap((database) =>
      Array.from({ length: database.applications }, () => ({
        database,
        process: new ManagedProcess({
          title: `an application of ${database.name}`,
          file: process.execPath,
          args: () => [APPLICATION, this.#applicationSettings(database)],
          outputPath,
        }),
      })),
    );
    this.#readers = DATABASES.filter(({ hasReader }) => hasReader).map(
      ({ name }) =>
        new ManagedProcess({
          title: `the reader of ${name}`,
          file: process.execPath,
          args: () => [READER, place.databasePath(name), String(plan.seed)],
          outputPath,
        }),
    );
  }

  get checker(): Checker {
    return this.#checker;
  }

  get weatherHits(): ReadonlyMap<Weather, number> {
    return this.#weather.hits;
  }

  /** Each start goes its own way, or a restarted application would repeat what it did. */
  #applicationSettings({ name, application }: SoakDatabase): string {
    const seed = this.#plan.seed * 1000 + this.#applicationStarts++;
    return JSON.stringify({ ...application, seed, path: this.#place.databasePath(name) });
  }

  /** @param hasDisks - whether file systems can be mounted for the directories and the local state */
  async run(hasDisks: boolean): Promise<void> {
    await this.#prepare(hasDisks);
    this.startedMs = Date.now();
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, this.#failing.signal]);
    const lanes = [this.#lookLane(signal), this.#vitalsLane(signal), this.#checkLane(signal)];
    try {
      await this.#play();
      await this.#end();
    } catch (error) {
      this.#fail(error);
    }
    ended.abort();
    await Promise.allSettled(lanes);
    this.#readLogs();
    if (this.failures.length > 0) await this.#keepDisks();
  }

  /** What lies in file systems of its own would be gone. */
  async #keepDisks(): Promise<void> {
    await this.#killAll();
    await this.#weather.clear();
    const { folder, directories, states } = this.#place;
    for (const path of [directories, states])
      cpSync(path, join(folder, 'kept', basename(path)), { recursive: true });
  }

  async #prepare(hasDisks: boolean): Promise<void> {
    const { folder, directories, states } = this.#place;
    mkdirSync(folder, { recursive: true });
    const random = new Random(this.#plan.seed + 1);
    const disks = hasDisks
      ? {
          directories: this.#resources.use(new Tmpfs(directories, DIRECTORIES_BYTES)),
          states: this.#resources.use(new Tmpfs(states, STATES_BYTES)),
        }
      : undefined;
    this.#server = this.#resources.use(await LoopbackS3.start(BUCKET));
    this.#gate = this.#resources.use(new Gate(Number(new URL(this.#server.endpoint).port)));
    await this.#gate.open();
    this.#weather = new WeatherMaker({ server: this.#server, gate: this.#gate, random, disks });
    this.#checker = new Checker({
      place: this.#place,
      judge: this.#resources.use(new Judge()),
      random: new Random(this.#plan.seed + 2),
      timeline: (database) => this.#timelines.get(database) ?? new Timeline(),
      firstSnapshotMs: (target) => this.#firstSnapshots.get(keyOf(target)),
    });
    this.#settings = {
      endpoint: this.#gate.endpoint,
      restoreEndpoint: this.#server.endpoint,
      syncIntervalMs: 300,
      keys: await newKeyPair(),
    };
    writeConfigs(this.#place, this.#settings);
    this.#resources.defer(async () => this.#killAll());
  }

  // ---- lanes -------------------------------------------------------------------------------------------------

  async #play(): Promise<void> {
    await this.#startApplications();
    this.#startRivulet();
    for (const { atMs, act } of this.#plan.acts) {
      await this.#until(atMs);
      if (this.#failing.signal.aborted) return;
      // After a long comparison; all at once would be something else.
      if (Date.now() - this.startedMs - atMs > LATE_MS && act.kind !== 'compare') continue;
      this.acts.set(act.kind, (this.acts.get(act.kind) ?? 0) + 1);
      await this.#act(act);
    }
    await this.#until(this.#plan.durationMs);
  }

  async #act(act: Act): Promise<void> {
    if (act.kind !== 'compare') this.#note(describe(act));
    switch (act.kind) {
      case 'kill':
        await this.#rivulet.kill();
        await sleep(act.downMs);
        return this.#startRivulet();
      case 'end':
        await this.#endRivulet();
        await sleep(act.downMs);
        return this.#startRivulet();
      case 'reload':
        return this.#reload(act.syncIntervalMs);
      case 'kill-application':
        return this.#killApplication(act.which, act.downMs);
      case 'weather':
        return this.#beginSpell(act.weather, act.forMs);
      case 'compare':
        return this.#compare();
    }
  }

  async #lookLane(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#look();
      this.#readLogs();
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #vitalsLane(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const life = this.lives.at(-1);
      const { pid } = this.#rivulet;
      if (life !== undefined && pid !== undefined) {
        sampleProcess(life, pid, Date.now());
        const text = await this.#get('metrics');
        if (text !== undefined && life === this.lives.at(-1)) sampleMetrics(life, text, Date.now());
        this.#keepHealth(await this.#get('healthz'));
      }
      await sleep(VITALS_EVERY_MS);
    }
  }

  /** For whoever has to find out why something failed. */
  #keepHealth(text: string | undefined): void {
    const time = new Date().toISOString();
    const health = text === undefined ? 'null' : JSON.stringify(JSON.parse(text));
    appendFileSync(join(this.#place.folder, 'health.log'), `{"time":"${time}","health":${health}}\n`);
  }

  async #checkLane(signal: AbortSignal): Promise<void> {
    await sleep(CHECK_PAUSE_MS * 4);
    while (!signal.aborted) {
      try {
        await this.#checker.checkAny();
      } catch (error) {
        this.#fail(error);
      }
      await sleep(CHECK_PAUSE_MS);
    }
  }

  // ---- processes ---------------------------------------------------------------------------------------------

  #startRivulet(): void {
    const time = new Date().toISOString();
    this.#url = undefined;
    appendFileSync(this.#place.logPath, `\n${JSON.stringify({ time, level: 'info', msg: LIFE_BEGINS })}\n`);
    this.#rivulet.start();
    this.lives.push(newLife(Date.now()));
    this.#note('rivulet: started');
  }

  async #endRivulet(): Promise<void> {
    const wasServing = this.#url !== undefined;
    // A clean end waits for every destination.
    await this.#endSpell();
    this.#isEnding = true;
    const exit = await this.#rivulet.terminate(END_TIMEOUT_MS);
    this.#isEnding = false;
    // A process that has only just begun does not listen to signals yet.
    if (exit?.code !== 0 && (wasServing || exit?.signal !== 'SIGTERM'))
      throw new Error(`rivulet was to end, and ended with code ${exit?.code}, signal ${exit?.signal}`);
    this.#note('rivulet: ended');
  }

  async #reload(syncIntervalMs: number): Promise<void> {
    await this.#untilServing();
    this.#settings = { ...this.#settings, syncIntervalMs };
    writeConfigs(this.#place, this.#settings);
    this.#rivulet.signal('SIGHUP');
  }

  async #startApplications(): Promise<void> {
    for (const { process } of this.#applications) {
      process.start();
      // The first one makes the tables.
      await sleep(200);
    }
    for (const reader of this.#readers) reader.start();
  }

  async #endApplications(): Promise<void> {
    const all = [...this.#applications.map(({ process }) => process), ...this.#readers];
    for (const exit of await Promise.all(all.map(async (one) => one.terminate(20_000)))) {
      if (exit !== undefined && exit.code !== 0 && exit.signal !== 'SIGTERM')
        throw new Error(`an application was to end, and ended with code ${exit.code}, signal ${exit.signal}`);
    }
  }

  async #killApplication(which: number, downMs: number): Promise<void> {
    const application = this.#applications[which];
    await application?.process.kill();
    await sleep(downMs);
    application?.process.start();
  }

  async #killAll(): Promise<void> {
    const applications = this.#applications.map(({ process }) => process);
    await Promise.all([...applications, ...this.#readers, this.#rivulet].map(async (one) => one.kill()));
  }

  // ---- weather -----------------------------------------------------------------------------------------------

  async #beginSpell(weather: Weather, forMs: number): Promise<void> {
    await this.#endSpell();
    const spell = { weather, fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY };
    this.spells.push(spell);
    await this.#weather.begin(weather);
    const timer = setTimeout(() => {
      if (this.spells.at(-1) === spell) this.#endSpell().catch((error: unknown) => this.#fail(error));
    }, forMs);
    timer.unref();
  }

  async #endSpell(): Promise<void> {
    const spell = this.spells.at(-1);
    if (spell === undefined || spell.toMs !== Number.POSITIVE_INFINITY) return;
    await this.#weather.clear();
    spell.toMs = Date.now();
    this.#note(`weather: ${spell.weather} is over`);
  }

  // ---- comparisons -------------------------------------------------------------------------------------------

  /** Everything is stored when nobody writes, and every destination holds what the live database holds. */
  async #compare(): Promise<void> {
    this.#note('compare: applications end');
    await this.#endSpell();
    await this.#endApplications();
    await this.#untilQuiet();
    await this.#compareAll();
    this.#note('compare: all equal');
    await this.#startApplications();
  }

  async #compareAll(): Promise<void> {
    for (const target of TARGETS) await this.#checker.check(target, { isQuiet: true });
  }

  async #end(): Promise<void> {
    if (this.#failing.signal.aborted) return;
    this.#note('the end: applications end');
    await this.#endSpell();
    await this.#endApplications();
    await this.#untilServing();
    await this.#endRivulet();
    await this.#compareAll();
    this.#note('the end: all equal');
  }

  async #untilServing(): Promise<void> {
    const deadlineMs = Date.now() + QUIET_TIMEOUT_MS;
    while (this.#url === undefined) {
      if (Date.now() > deadlineMs) throw new Error('rivulet does not serve');
      await sleep(50);
    }
  }

  async #untilQuiet(): Promise<void> {
    const deadlineMs = Date.now() + QUIET_TIMEOUT_MS;
    let sinceMs: number | undefined;
    for (;;) {
      const text = await this.#get('healthz');
      const isQuiet = text !== undefined && saysQuiet(JSON.parse(text) as Health);
      sinceMs = isQuiet ? (sinceMs ?? Date.now()) : undefined;
      if (sinceMs !== undefined && Date.now() - sinceMs >= QUIET_FOR_MS) return;
      if (Date.now() > deadlineMs)
        throw new Error(`not everything was stored within ${QUIET_TIMEOUT_MS} ms: ${text}`);
      await sleep(100);
    }
  }

  async #get(what: 'metrics' | 'healthz'): Promise<string | undefined> {
    if (this.#url === undefined) return undefined;
    try {
      const response = await fetch(this.#url.replace(/metrics$/, what), {
        signal: AbortSignal.timeout(5_000),
      });
      return await response.text();
    } catch {
      return undefined;
    }
  }

  // ---- looking -----------------------------------------------------------------------------------------------

  #look(): void {
    for (const { name } of DATABASES) {
      this.#lookAtSource(name);
      this.#lookAtLog(name);
      const spoolBytes = folderBytes(join(this.#place.statePath(name), 'spool'));
      this.spoolBytesMax = Math.max(this.spoolBytesMax, spoolBytes);
    }
    for (const { operation, headers } of this.#server.requests.splice(0)) {
      if (!(headers['authorization'] ?? '').includes(TROUBLED_KEY)) continue;
      this.requests.set(operation, (this.requests.get(operation) ?? 0) + 1);
    }
  }

  /** The file of a log keeps its size when the log is restarted: what counts is who let it grow. */
  #lookAtLog(name: string): void {
    const bytes = fileBytes(`${this.#place.databasePath(name)}-wal`);
    const grew = bytes > (this.#walBytes.get(name) ?? 0);
    this.#walBytes.set(name, bytes);
    if (!grew) return;
    if (this.#isEnding || this.#isStateFull())
      this.walBytesMaxWaiting = Math.max(this.walBytesMaxWaiting, bytes);
    else this.walBytesMax = Math.max(this.walBytesMax, bytes);
  }

  /** What has piled up while it was has to be stored or put aside first. */
  #isStateFull(): boolean {
    return this.spells.some(
      ({ weather, toMs }) =>
        (weather === 'state-full' || weather === 'spool-full') && Date.now() <= toMs + AFTERMATH_MS,
    );
  }

  #lookAtSource(name: string): void {
    const beganMs = Date.now();
    try {
      // A connection that only reads leaves the log alone when it closes.
      using source = new DatabaseSync(this.#place.databasePath(name), { readOnly: true, timeout: 50 });
      const { seq } = source.prepare('SELECT coalesce(max(seq), 0) AS seq FROM history').get() as {
        seq: number;
      };
      this.#timelines.get(name)?.saw({ beganMs, endedMs: Date.now(), seq });
    } catch (error) {
      // It does not exist yet, or is being recovered.
      if (!(error instanceof Error) || !('errcode' in error)) throw error;
    }
  }

  #readLogs(): void {
    for (const line of this.#logTail.read()) {
      this.log.push(line);
      if (line.msg === 'serving metrics and health') this.#url = String(line['url']);
      if (line.msg === 'snapshot written') this.#snapshotSeen(line);
    }
    for (const report of this.#reportTail.read()) if (report !== undefined) this.#addReport(report);
    const all = [this.#rivulet, ...this.#readers, ...this.#applications.map(({ process }) => process)];
    for (const { surprises } of all)
      for (const surprise of surprises.splice(0)) this.#fail(new Error(surprise));
  }

  #snapshotSeen(line: LogLine): void {
    const database = DATABASES.find(({ name }) => this.#place.databasePath(name) === line['db'])?.name ?? '';
    const key = `${database} ${String(line['replica'])}`;
    if (!this.#firstSnapshots.has(key)) this.#firstSnapshots.set(key, Date.parse(String(line['time'])));
  }

  #addReport(report: ApplicationReport): void {
    if (report.kind === 'broken') this.#fail(new Error(`the source is damaged: ${report.faults.join('; ')}`));
    if (report.kind === 'checkpoint') this.#count(`checkpoint ${report.mode}${report.busy ? ' (busy)' : ''}`);
    if (report.kind !== 'deed') return;
    this.#count(report.deed);
    this.slowestWaitMs = Math.max(this.slowestWaitMs, report.waitedMs);
    if (!report.busy || report.deed === 'checkpoint') return;
    this.busy++;
    this.#note(`an application was told that the database is busy: ${report.deed}`);
  }

  #count(deed: string): void {
    this.reports.set(deed, (this.reports.get(deed) ?? 0) + 1);
  }

  // ---- small things ------------------------------------------------------------------------------------------

  get commits(): number {
    return [...this.#timelines.values()].reduce((sum, { lastSeq }) => sum + lastSeq, 0);
  }

  async #until(atMs: number): Promise<void> {
    const waitMs = this.startedMs + atMs - Date.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: this.#failing.signal }).catch(() => undefined);
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#note(`FAILED: ${message}`);
    this.failures.push(message);
    this.#failing.abort();
  }

  #note(text: string): void {
    const atMs = Date.now();
    this.story.push({ atMs, text });
    appendFileSync(join(this.#place.folder, 'story.log'), `${new Date(atMs).toISOString()}  ${text}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function keyOf({ database, destination }: Target): string {
  return `${database} ${destination}`;
}

function saysQuiet({ databases }: Health): boolean {
  return (
    databases.length === DATABASES.length &&
    databases.every(
      ({ state, replicas }) =>
        state === 'following' &&
        replicas.every(({ state, lagBytes }) => state === 'streaming' && lagBytes === 0),
    )
  );
}

function describe(act: Act): string {
  const { kind, ...rest } = act;
  return `${kind} ${JSON.stringify(rest)}`;
}
