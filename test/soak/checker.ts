/** Restores from every destination, at the newest state and at moments, and holds each copy against what was committed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { removeDatabase } from '../faults/checks.ts';
import type { Random } from '../faults/random.ts';
import { restore } from '../faults/rivulet.ts';
import { errorCodeOf, restoreFailed } from '../faults/verdict.ts';
import type { Judge } from './judge.ts';
import { DATABASES, type Destination, DESTINATIONS, RETENTION_MS, type SoakPlace } from './place.ts';
import { Holdings, type Timeline } from './timeline.ts';

/** The time of an object is that of the machine; this is for what lies between looking and acting. */
const TOLERANCE_MS = 1_500;
/** So much of the window may pass while a restore gets under way. */
const WINDOW_MARGIN_MS = 4_000;
const OLDER_MS = 45_000;

export interface Target {
  readonly database: string;
  readonly destination: Destination;
}

export const TARGETS: readonly Target[] = DATABASES.flatMap(({ name }) =>
  DESTINATIONS.map((destination) => ({ database: name, destination })),
);

export interface CheckerParts {
  readonly place: SoakPlace;
  readonly judge: Judge;
  readonly random: Random;
  readonly timeline: (database: string) => Timeline;
  /** When the first snapshot was stored there; undefined when none was. */
  readonly firstSnapshotMs: (target: Target) => number | undefined;
}

export class Checker {
  readonly #parts: CheckerParts;
  readonly #holdings = new Map<string, Holdings>();
  #copies = 0;
  /** How many restores had which result. */
  readonly results: Map<string, number> = new Map();
  slowestMs = 0;

  constructor(parts: CheckerParts) {
    this.#parts = parts;
  }

  /** One restore that a seed chose. @throws Error that says what is wrong with it */
  async checkAny(): Promise<void> {
    const { random } = this.#parts;
    const target = random.pick(TARGETS);
    const nowMs = Date.now();
    const kind = random.weighted({ latest: 5, moment: 4, older: 1 });
    if (kind === 'latest') await this.check(target, { isQuiet: false });
    else if (kind === 'moment')
      await this.check(target, {
        isQuiet: false,
        timeMs: nowMs - random.int(0, RETENTION_MS - WINDOW_MARGIN_MS),
      });
    else await this.check(target, { isQuiet: false, timeMs: nowMs - random.int(RETENTION_MS, OLDER_MS) });
  }

  /** @throws Error that says what is wrong with the copy, or that there should be one */
  async check(target: Target, when: { readonly isQuiet: boolean; readonly timeMs?: number }): Promise<void> {
    const { place, judge } = this.#parts;
    const { database, destination } = target;
    const { isQuiet, timeMs } = when;
    const copyPath = join(place.folder, `copy-${++this.#copies}.db`);
    const sourcePath = place.databasePath(database);
    const moment = timeMs === undefined ? 'latest' : new Date(timeMs).toISOString();
    const title = `copy ${this.#copies}, ${database} from ${destination}, ${moment},`;
    const startedMs = Date.now();
    const from = { databasePath: sourcePath, configPath: place.restoreConfigPath } as Parameters<
      typeof restore
    >[0];
    const result = await restore(from, {
      replica: destination,
      outputPath: copyPath,
      ...(timeMs === undefined ? {} : { timeMs }),
    });
    const endedMs = Date.now();
    this.slowestMs = Math.max(this.slowestMs, endedMs - startedMs);
    if (result.code !== 0) {
      const code = errorCodeOf(result);
      if (isQuiet || !this.#isHonest(target, code, timeMs, endedMs)) throw restoreFailed(title, result);
      if (existsSync(copyPath)) throw new Error(`${title} failed and left ${copyPath}`);
      this.#count(`${timeMs === undefined ? 'latest' : 'moment'}: ${code}`);
      return;
    }
    const { seq, fault } = await judge.judge({ copyPath, sourcePath, title, isQuiet });
    if (fault !== undefined) throw new Error(fault);
    this.#assertInTime(target, { title, seq, timeMs, startedMs, endedMs });
    this.#count(isQuiet ? 'equal to the live database' : timeMs === undefined ? 'latest' : 'moment');
    removeDatabase(copyPath);
  }

  /** Whether a restore may say so: nothing was stored yet, or the moment lies before the window of retention. */
  #isHonest(target: Target, code: string | undefined, timeMs: number | undefined, endedMs: number): boolean {
    const firstMs = this.#parts.firstSnapshotMs(target) ?? Number.POSITIVE_INFINITY;
    if (code === 'REPLICA_EMPTY')
      return firstMs === Number.POSITIVE_INFINITY || firstMs > endedMs - TOLERANCE_MS;
    if (timeMs === undefined) return false;
    if (code !== 'TARGET_UNAVAILABLE' && code !== 'CHAIN_BROKEN') return false;
    return timeMs < firstMs || timeMs < endedMs - RETENTION_MS;
  }

  #assertInTime(
    { database, destination }: Target,
    copy: { title: string; seq: number; timeMs: number | undefined; startedMs: number; endedMs: number },
  ): void {
    const { title, seq, timeMs, startedMs, endedMs } = copy;
    const key = `${database} ${destination}`;
    const holdings = this.#holdings.get(key) ?? new Holdings();
    this.#holdings.set(key, holdings);
    const least = holdings.leastAt((timeMs ?? startedMs) - (timeMs === undefined ? 0 : TOLERANCE_MS));
    if (seq < least)
      throw new Error(
        `${title} ends at transaction ${seq}, but ${least} had been restored from there before`,
      );
    const notYetMs = this.#parts.timeline(database).notCommittedAtMs(seq);
    if (timeMs !== undefined && notYetMs > timeMs)
      throw new Error(
        `${title} holds transaction ${seq}, which was not committed yet at ${new Date(notYetMs).toISOString()}`,
      );
    if (timeMs === undefined) holdings.saw(endedMs, seq);
  }

  #count(result: string): void {
    this.results.set(result, (this.results.get(result) ?? 0) + 1);
  }
}
