/** Carries out the plan of one trial with real processes, then holds every copy against the source. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ApplicationReport, ApplicationSettings } from './application-settings.ts';
import { assertPrefix, type Copy, judgeCopy, removeDatabase } from './checks.ts';
import type { Event, TrialPlan } from './plan.ts';
import { ManagedProcess } from './process.ts';
import {
  type LogLine,
  type Place,
  placeIn,
  readLog,
  replicateProcess,
  restore,
  writeConfig,
} from './rivulet.ts';
import { errorCodeOf, restoreFailed, Verdict } from './verdict.ts';
import { untilQuiet, untilServing } from './waiting.ts';

const APPLICATION = fileURLToPath(new URL('application.ts', import.meta.url));
const READER = fileURLToPath(new URL('reader.ts', import.meta.url));
/** Ends by themselves are quick; this bounds a hang. */
const END_TIMEOUT_MS = 40_000;
const MEANWHILE = 'the copy restored meanwhile';

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
  readonly #verdict: Verdict;
  readonly #applicationOutput: string;
  readonly #happened: string[] = [];
  readonly #startedMs = performance.now();
  /** Copies restored while everything ran; the source may only be opened afterwards. */
  readonly #meanwhile: Copy[] = [];
  #applicationStarts = 0;

  constructor(plan: TrialPlan, place: Place) {
    this.#plan = plan;
    this.#place = place;
    this.#verdict = new Verdict(plan, place);
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
    for (const replica of this.#plan.replication.replicas) await this.#verdict.check(replica);
    for (const copy of this.#meanwhile) assertPrefix(this.#place.databasePath, copy, MEANWHILE);
    const log = readLog(this.#place);
    return {
      reports: this.#reports(),
      log,
      restores: this.#verdict.restores,
      unavailableMoments: this.#verdict.unavailable,
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
    this.#verdict.restores++;
    if (result.code === 0) this.#meanwhile.push(judgeCopy(path, MEANWHILE));
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
    const before = await this.#verdict.copy({ replica, title: 'the copy before the kill', mayBeEmpty: true });
    await this.#rivulet.kill();
    const after = await this.#verdict.copy({ replica, title: 'the copy after the kill', mayBeEmpty: true });
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
