/** Carries out one schedule and judges what is left. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Destination } from '../../../src/config/settings.ts';
import { openStore } from '../../../src/daemon/stores.ts';
import type { Schedule, Step, WriterName } from './schedule.ts';
import { judgeDestination, type StoredPromise } from './verdict.ts';
import { WriterProcess } from './writer-process.ts';

const START_MS = 30_000;
const FINISH_MS = 20_000;
/** How long a woken writer may take to learn that it lost, in durations of the lease. */
const SETTLE_DURATIONS = 8;
const SETTLE_MS_LEAST = 4_000;

export interface Place {
  /** A destination of its own for each schedule. */
  readonly destination: (name: string) => Destination;
  /** The grain of the times that the store tells. */
  readonly grainMs: number;
}

export interface ScheduleOutcome {
  readonly problems: readonly string[];
  readonly promises: number;
  readonly takeovers: number;
  /** How often a writer was told that it lost. */
  readonly losses: number;
  /** What happened, for a person. */
  readonly story: readonly string[];
}

export async function runSchedule(schedule: Schedule, place: Place): Promise<ScheduleOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-two-writers-'));
  const scene = new Scene(schedule, place.destination(`${schedule.seed}-${folder.slice(-6)}`), folder);
  try {
    for (const step of schedule.steps) await scene.make(step);
    await scene.settle();
    await scene.end();
    return { ...(await scene.judge(place.grainMs)), ...scene.counts };
  } finally {
    await scene.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Scene {
  readonly #schedule: Schedule;
  readonly #destination: Destination;
  readonly #folder: string;
  readonly #writers = new Map<WriterName, WriterProcess>();
  readonly #promises: StoredPromise[] = [];
  readonly #problems: string[] = [];
  readonly #story: string[] = [];
  readonly #startedMs = performance.now();
  #starts = 0;
  #losses = 0;

  constructor(schedule: Schedule, destination: Destination, folder: string) {
    this.#schedule = schedule;
    this.#destination = destination;
    this.#folder = folder;
  }

  get counts(): { promises: number; takeovers: number; losses: number; story: readonly string[] } {
    const epochs = this.#promises.map(({ epoch }) => epoch);
    return {
      promises: this.#promises.length,
      takeovers: Math.max(0, Math.max(0, ...epochs) - 1),
      losses: this.#losses,
      story: this.#story,
    };
  }

  #note(text: string): void {
    this.#story.push(`${Math.round(performance.now() - this.#startedMs)} ms: ${text}`);
  }

  async make(step: Step): Promise<void> {
    if (step.kind === 'wait') return delay(step.ms);
    this.#note(`${step.kind} ${step.writer}`);
    if (step.kind === 'start') return this.#start(step.writer);
    const writer = this.#writers.get(step.writer);
    if (writer === undefined) return;
    if (step.kind === 'pace') writer.say(`pace ${step.ms}`);
    if (step.kind === 'freeze') writer.freeze();
    if (step.kind === 'thaw') writer.thaw();
    if (step.kind === 'kill') await writer.kill();
    if (step.kind === 'finish') await this.#finish(step.writer, writer);
    if (step.kind === 'kill' || step.kind === 'finish') this.#writers.delete(step.writer);
  }

  async #start(name: WriterName): Promise<void> {
    const { durationMs, renew, slowMs, seed } = this.#schedule;
    const writer = new WriterProcess(
      {
        name,
        databasePath: join(this.#folder, `${name}.db`),
        metaPath: join(this.#folder, `${name}-meta`),
        destination: this.#destination,
        durationMs,
        renew,
        slowMs,
        seed: seed * 31 + ++this.#starts,
      },
      (told) => {
        if (told.kind === 'stored') this.#promises.push({ writer: name, ...told });
        if (told.kind === 'lost') this.#losses++;
        this.#note(`${name}: ${JSON.stringify(told)}`);
      },
    );
    this.#writers.set(name, writer);
    const isReady = await writer.until((told) => told.kind === 'ready', START_MS);
    if (!isReady) this.#problems.push(`${name} did not start: ${writer.complaint}`);
  }

  async #finish(name: WriterName, writer: WriterProcess): Promise<void> {
    if (writer.isFrozen) writer.thaw();
    await writer.finish(FINISH_MS);
    if (!writer.told.some(({ kind }) => kind === 'finished')) {
      this.#problems.push(`${name} did not end by itself: ${writer.complaint}`);
    }
  }

  /** Everybody is awake and writes: then one of them holds the lease, and the others know. */
  async settle(): Promise<void> {
    for (const writer of this.#writers.values()) {
      if (writer.isFrozen) writer.thaw();
      writer.say('pace 20');
    }
    const living = [...this.#writers].filter(([, writer]) => writer.isAlive);
    const limitMs = Math.max(SETTLE_MS_LEAST, SETTLE_DURATIONS * this.#schedule.durationMs);
    const endMs = performance.now() + limitMs;
    for (;;) {
      const holders = living.filter(([, { state }]) => !['standby', 'lost'].includes(state?.state ?? ''));
      if (holders.length <= 1) break;
      if (performance.now() > endMs) {
        const names = holders.map(([name, { state }]) => `${name} (${state?.state})`).join(' and ');
        this.#problems.push(`${names} both go on as if they were the writer`);
        break;
      }
      await delay(20);
    }
    for (const [name, writer] of this.#writers) {
      if (!writer.isAlive) this.#problems.push(`${name} died: ${writer.complaint}`);
    }
  }

  async end(): Promise<void> {
    for (const [name, writer] of this.#writers) {
      this.#note(`end ${name}`);
      if (this.#schedule.seed % 3 === 0) await writer.kill();
      else await this.#finish(name, writer);
    }
  }

  async judge(grainMs: number): Promise<{ problems: readonly string[] }> {
    const store = await openStore({ destination: this.#destination, age: undefined });
    try {
      const outputPath = join(this.#folder, 'restored');
      const promises = this.#promises;
      this.#problems.push(...(await judgeDestination({ store, promises, outputPath, grainMs })));
      return { problems: this.#problems };
    } finally {
      await store.close();
    }
  }

  async dispose(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.kill();
  }
}
