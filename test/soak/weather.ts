/** Bad weather for a while: the server misbehaves, the way to it is closed, disks fill up or become read-only. */
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../faults/random.ts';
import type { Tmpfs } from '../faults/destination/tmpfs.ts';
import type { LoopbackS3 } from '../support/loopback-s3.ts';
import type { Fault, RecordedRequest } from '../support/loopback-s3/faults.ts';
import type { Gate } from './gate.ts';
import { TROUBLED_KEY } from './place.ts';
import type { Weather } from './plan.ts';

const LEFT_FREE_BYTES = 48 * 1024;
const FILLER = 'filler';

export interface WeatherParts {
  readonly server: LoopbackS3;
  readonly gate: Gate;
  readonly random: Random;
  /** Undefined where nothing can be mounted. */
  readonly disks: { readonly directories: Tmpfs; readonly states: Tmpfs } | undefined;
}

/** How the server misbehaves, and how often. */
const FAULTS: Partial<
  Record<Weather, { readonly chance: number; readonly fault: (random: Random) => Fault }>
> = {
  storm: { chance: 0.6, fault: () => ({ answer: { status: 503, code: 'SlowDown' } }) },
  errors: { chance: 0.3, fault: () => ({ answer: { status: 500, code: 'InternalError' } }) },
  resets: { chance: 0.3, fault: (random) => ({ resetRequestAfterBytes: random.pick([0, 1, 100, 5_000]) }) },
  lost: { chance: 0.3, fault: () => ({ loseAnswer: true }) },
  cut: { chance: 0.3, fault: (random) => ({ resetAnswerAfterBytes: random.int(1, 400) }) },
  slow: { chance: 0.8, fault: (random) => ({ delayMs: random.int(50, 600) }) },
  hang: { chance: 0.15, fault: () => ({ hang: true }) },
};

export class WeatherMaker {
  readonly #parts: WeatherParts;
  /** How often each fault was really met. */
  readonly hits: Map<Weather, number> = new Map();
  #now: Weather | undefined;

  constructor(parts: WeatherParts) {
    this.#parts = parts;
    for (const [weather, { chance, fault }] of Object.entries(FAULTS) as [
      Weather,
      (typeof FAULTS)['storm'] & {},
    ][]) {
      for (let variant = 0; variant < 3; variant++) {
        const on = (request: RecordedRequest): boolean => this.#isHit(weather, chance / 3, request);
        parts.server.misbehave({ on, fault: fault(parts.random) });
      }
    }
  }

  get now(): Weather | undefined {
    return this.#now;
  }

  #isHit(weather: Weather, chance: number, { headers }: RecordedRequest): boolean {
    if (this.#now !== weather || !(headers['authorization'] ?? '').includes(TROUBLED_KEY)) return false;
    if (!this.#parts.random.chance(chance)) return false;
    this.hits.set(weather, (this.hits.get(weather) ?? 0) + 1);
    return true;
  }

  async begin(weather: Weather): Promise<void> {
    await this.clear();
    const { gate, disks } = this.#parts;
    this.#now = weather;
    if (!(weather in FAULTS)) this.hits.set(weather, (this.hits.get(weather) ?? 0) + 1);
    if (weather === 'outage' || weather === 'spool-full') await gate.close();
    if (weather === 'disk-full' && disks !== undefined) fill(disks.directories);
    if ((weather === 'state-full' || weather === 'spool-full') && disks !== undefined) fill(disks.states);
    if (weather === 'disk-read-only') await disks?.directories.setReadOnly(true);
  }

  async clear(): Promise<void> {
    const { gate, disks } = this.#parts;
    const weather = this.#now;
    this.#now = undefined;
    if (weather === 'disk-read-only') await disks?.directories.setReadOnly(false);
    if (disks !== undefined)
      for (const disk of [disks.directories, disks.states]) rmSync(join(disk.path, FILLER), { force: true });
    await gate.open();
  }
}

/** Takes what is free, but for a little: some files still fit. */
function fill(disk: Tmpfs): void {
  const { bavail, bsize } = statfsSync(disk.path);
  const bytes = Math.max(0, bavail * bsize - LEFT_FREE_BYTES);
  try {
    writeFileSync(join(disk.path, FILLER), Buffer.alloc(bytes));
  } catch (error) {
    // Somebody else wrote at the same time: full is full.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
}
