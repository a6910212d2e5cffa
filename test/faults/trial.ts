/** Carries out the plan of one trial with real processes, then holds every copy against the source. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ApplicationReport, ApplicationSettings } from './application-settings.ts';
import { assertPrefix, assertSame, type Copy, judgeCopy, objectTimes, removeDatabase } from './checks.ts';
import type { Event, TrialPlan } from './plan.ts';
import { ManagedProcess } from './process.ts';
import { Random } from './random.ts';
import {
  type CommandResult,
  type LogLine,
  type Place,
  placeIn,
  readLog,
  replicateProcess,
  restore,
  restoreWithLitestream,
  writeConfig,
} from './rivulet.ts';
import { untilQuiet, untilServing } from './waiting.ts';

const APPLICATION = fileURLToPath(new URL('application.ts', import.meta.url));
const READER = fileURLToPath(new URL('reader.ts', import.meta.url));
/** Ends by themselves are quick; this bounds a hang. */
const END_TIMEOUT_MS = 40_000;
const MOMENTS = 3;

export interface TrialResult {
  readonly reports: readonly ApplicationReport[];
  readonly log: readonly LogLine[];
  readonly restores: number;
  readonly unavailableMoments: number;
}

export async function runTrial(plan: TrialPlan): Promise<TrialResult> {
  const folder = mkdtempSync(join(tmpdir(), `rivulet-faults-${plan.seed}-`));
  const trial = new Trial(plan, placeIn(folder));
  try {
    const result = await trial.run();
    rmSync(folder, { recursive: true, force: true });
    return result;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${trial.story()}`, {
      cause: error,
    });
  } finally {
    await trial.killAll();
  }
}

class Trial {
  readonly #plan: TrialPlan;
  readonly #place: Place;
  readonly #application: ManagedProcess;
  readonly #reader: ManagedProcess;
  readonly #rivulet: ManagedProcess;
  readonly #applicationOutput: string;
  readonly #happened: string[] = [];
  readonly #startedMs = performance.now();
  #applicationStarts = 0;
  #restores = 0;
  #unavailable = 0;

  constructor(plan: TrialPlan, place: Place) {
    this.#plan = plan;
    this.#place = place;
    this.#applicationOutput = join(place.folder, 'application.log');
    this.#application = new ManagedProcess({
      title: 'the application',
      file: process.execPath,
      args: () => [APPLICATION, JSON.stringify(this.#applicationSettings())],
      outputPath: this.#applicationOutput,
    });
    this.#reader = new ManagedProcess({
      title: 'the reader',
      file: process.execPath,
      args: () => [READER, place.databasePath, String(plan.seed)],
      outputPath: this.#applicationOutput,
    });
    this.#rivulet = replicateProcess(place);
  }

  /** Each start goes its own way, or a restarted application would repeat what it did. */
  #applicationSettings(): ApplicationSettings {
    const { application } = this.#plan;
    const seed = application.seed + this.#applicationStarts++;
    return { ...application, seed, path: this.#place.databasePath };
  }

  async run(): Promise<TrialResult> {
    writeConfig(this.#place, this.#plan.replication);
    await this.#live();
    await this.#end();
    this.#assertNoSurprise();
    for (const replica of this.#plan.replication.replicas) await this.#check(replica);
    const log = readLog(this.#place);
    return {
      reports: this.#reports(),
      log,
      restores: this.#restores,
      unavailableMoments: this.#unavailable,
    };
  }

  // ---- what happens ------------------------------------------------------------------------------------------

  async #live(): Promise<void> {
    const { rivuletDelayMs, applicationEvents, rivuletEvents, restoreAtMs, hasReader } = this.#plan;
    const lanes = await Promise.allSettled([
      this.#lane(this.#application, 'application', Math.max(0, -rivuletDelayMs), applicationEvents),
      this.#lane(this.#rivulet, 'rivulet', Math.max(0, rivuletDelayMs), rivuletEvents),
      ...(hasReader ? [this.#lane(this.#reader, 'reader', 100, [])] : []),
      ...restoreAtMs.map(async (atMs) => this.#restoreMeanwhile(atMs)),
      this.#until(this.#plan.durationMs),
    ]);
    // Every lane has ended before the first failure is told, so that none starts a process afterwards.
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
  }

  async #lane(
    process: ManagedProcess,
    title: string,
    startMs: number,
    events: readonly Event[],
  ): Promise<void> {
    await this.#until(startMs);
    this.#start(process, title);
    for (const event of events) {
      await this.#until(event.atMs);
      this.#note(`${title}: ${event.act}, ${event.ms} ms`);
      await this.#act(process, title, event);
    }
  }

  #start(process: ManagedProcess, title: string): void {
    this.#note(`${title}: start`);
    process.start();
  }

  async #act(process: ManagedProcess, title: string, { act, ms }: Event): Promise<void> {
    if (act === 'freeze') return process.freeze(ms);
    if (act === 'kill') await process.kill();
    else await this.#terminate(process, title);
    await sleep(ms);
    this.#start(process, title);
  }

  async #terminate(process: ManagedProcess, title: string): Promise<void> {
    const exit = await process.terminate(END_TIMEOUT_MS);
    // A process that has only just begun does not listen to signals yet.
    const early = exit?.signal === 'SIGTERM';
    if (exit !== undefined && exit.code !== 0 && !early) {
      throw new Error(`${title} was to end, and ended with code ${exit.code}, signal ${exit.signal}`);
    }
    this.#note(`${title}: ended`);
  }

  async #restoreMeanwhile(atMs: number): Promise<void> {
    await this.#until(atMs);
    const replica = this.#plan.replication.replicas[0] as string;
    const path = join(this.#place.folder, 'meanwhile.db');
    const result = await restore(this.#place, { replica, outputPath: path });
    this.#restores++;
    if (result.code === 0) judgeCopy(path, 'the copy restored meanwhile');
    else if (errorCodeOf(result) !== 'REPLICA_EMPTY') throw restoreFailed('meanwhile', result);
    removeDatabase(path);
  }

  async #end(): Promise<void> {
    const { ending } = this.#plan;
    this.#note(`ending: ${ending}`);
    if (ending === 'killed-when-busy') await this.#killBusy();
    await this.#terminate(this.#reader, 'reader');
    await this.#terminate(this.#application, 'application');
    if (ending === 'killed-when-quiet') await this.#killQuiet();
    if (ending === 'clean') await this.#endClean();
  }

  /** What could be restored before the kill is there after it. */
  async #killBusy(): Promise<void> {
    const replica = this.#plan.replication.replicas[0] as string;
    const before = await this.#copy({ replica, title: 'the copy before the kill', mayBeEmpty: true });
    await this.#rivulet.kill();
    const after = await this.#copy({ replica, title: 'the copy after the kill', mayBeEmpty: true });
    if ((after?.seq ?? 0) < (before?.seq ?? 0)) {
      throw new Error(`transaction ${before?.seq} could be restored before the kill, ${after?.seq} after it`);
    }
  }

  async #killQuiet(): Promise<void> {
    this.#start(this.#rivulet, 'rivulet');
    await untilQuiet(this.#place);
    await this.#rivulet.kill();
  }

  /** A Rivulet that is there ends by itself; one that is not comes once more for what it has missed. */
  async #endClean(): Promise<void> {
    if (!this.#rivulet.isRunning) this.#start(this.#rivulet, 'rivulet');
    await untilServing(this.#place);
    await this.#terminate(this.#rivulet, 'rivulet');
  }

  // ---- what must hold ----------------------------------------------------------------------------------------

  #assertNoSurprise(): void {
    const surprises = [...this.#application.surprises, ...this.#reader.surprises, ...this.#rivulet.surprises];
    if (surprises.length > 0) throw new Error(surprises.join('; '));
    const errors = readLog(this.#place).filter(({ level }) => level === 'error');
    if (errors.length > 0) throw new Error(`rivulet logged an error: ${JSON.stringify(errors[0])}`);
  }

  async #check(replica: string): Promise<void> {
    const source = this.#place.databasePath;
    judgeCopy(source, 'the source itself');
    const isComplete = this.#plan.ending !== 'killed-when-busy';
    const path = join(this.#place.folder, 'latest.db');
    // An application that is killed at once may leave an empty file, which is no database yet.
    const mayBeEmpty = !isComplete || statSync(source).size === 0;
    const options = { replica, title: `latest of ${replica}`, keepAt: path, mayBeEmpty };
    const latest = await this.#copy(options);
    if (latest === undefined) return;
    assertPrefix(source, latest, options.title);
    if (isComplete) assertSame(source, path, options.title);
    removeDatabase(path);
    await this.#checkMoments(replica);
    if (this.#plan.withLitestream) await this.#checkLitestream(replica, isComplete);
  }

  async #checkMoments(replica: string): Promise<void> {
    const random = new Random(this.#plan.seed + 1);
    const times = objectTimes(this.#place.replicaPath(replica));
    const first = times[0]?.timeMs ?? 0;
    const last = times.at(-1)?.timeMs ?? 0;
    const moments = Array.from({ length: MOMENTS }, () => first + random.next() * (last - first));
    let previous: Copy = { seq: 0, digest: '' };
    for (const timeMs of moments.sort((a, b) => a - b)) {
      const title = `${replica} at ${new Date(timeMs).toISOString()}`;
      const copy = await this.#copy({ replica, title, timeMs });
      if (copy === undefined) continue;
      assertPrefix(this.#place.databasePath, copy, title);
      if (copy.seq < previous.seq) throw new Error(`${title} holds less than an earlier moment`);
      previous = copy;
    }
  }

  async #checkLitestream(replica: string, isComplete: boolean): Promise<void> {
    const path = join(this.#place.folder, 'litestream.db');
    const title = `latest of ${replica}, restored by litestream,`;
    const result = await restoreWithLitestream(this.#place, { replica, outputPath: path });
    this.#restores++;
    if (result.code !== 0) throw restoreFailed(title, result);
    assertPrefix(this.#place.databasePath, judgeCopy(path, title), title);
    if (isComplete) assertSame(this.#place.databasePath, path, title);
    removeDatabase(path);
  }

  /** Restores and judges. Undefined when there was honestly nothing to be had. */
  async #copy(options: {
    replica: string;
    title: string;
    timeMs?: number;
    keepAt?: string;
    mayBeEmpty?: boolean;
  }): Promise<Copy | undefined> {
    const { replica, title, timeMs, keepAt, mayBeEmpty } = options;
    const outputPath = keepAt ?? join(this.#place.folder, 'copy.db');
    const result = await restore(this.#place, {
      replica,
      outputPath,
      ...(timeMs === undefined ? {} : { timeMs }),
    });
    this.#restores++;
    if (result.code !== 0) {
      const code = errorCodeOf(result);
      const isHonest =
        (code === 'REPLICA_EMPTY' && mayBeEmpty === true) ||
        (code === 'TARGET_UNAVAILABLE' && timeMs !== undefined && this.#mayBeUnavailable(replica, timeMs));
      if (!isHonest) throw restoreFailed(title, result);
      if (existsSync(outputPath)) throw new Error(`${title}: a failed restore left ${outputPath}`);
      this.#unavailable++;
      return undefined;
    }
    const copy = judgeCopy(outputPath, title);
    if (keepAt === undefined) removeDatabase(outputPath);
    return copy;
  }

  /** Before the first snapshot there is nothing; what lies before the window of retention may be gone. */
  #mayBeUnavailable(replica: string, timeMs: number): boolean {
    const first = readLog(this.#place).find(
      (line) => line.msg === 'snapshot written' && line['replica'] === replica,
    );
    const firstMs = first === undefined ? Number.POSITIVE_INFINITY : Date.parse(String(first['time']));
    const lastMs = objectTimes(this.#place.replicaPath(replica)).at(-1)?.timeMs ?? 0;
    return timeMs < firstMs || timeMs < lastMs - this.#plan.replication.retentionMs;
  }

  // ---- small things ------------------------------------------------------------------------------------------

  async #until(atMs: number): Promise<void> {
    const waitMs = this.#startedMs + atMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
  }

  #note(what: string): void {
    this.#happened.push(`${String(Math.round(performance.now() - this.#startedMs)).padStart(6)} ms  ${what}`);
  }

  #reports(): ApplicationReport[] {
    const lines = readFileSync(this.#applicationOutput, 'utf8').split('\n');
    return lines.filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line));
  }

  async killAll(): Promise<void> {
    await Promise.all([this.#application.kill(), this.#reader.kill(), this.#rivulet.kill()]);
  }

  /** For whoever has to find out why a trial failed. */
  story(): string {
    const { seed, application, replication } = this.#plan;
    return [
      `repeat with: npm run test:faults -- --seed ${seed} --trials 1 --only crash`,
      `files are kept in ${this.#place.folder}`,
      `application ${JSON.stringify(application)}`,
      `replication ${JSON.stringify(replication)}`,
      ...this.#happened,
    ].join('\n');
  }
}

function errorCodeOf({ errors }: CommandResult): string | undefined {
  return /"code":\s*"([A-Z_]+)"/.exec(errors)?.[1];
}

function restoreFailed(title: string, { code, signal, output, errors }: CommandResult): Error {
  return new Error(`${title}: restore ended with ${code ?? signal}: ${output}${errors}`);
}
