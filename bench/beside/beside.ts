/** What a measurement of an application beside a replicator gets and gives. */
import { RunFolder } from '../measurement.ts';
import { median } from '../statistics.ts';
import type { SlowDisk } from '../../test/support/slow-disk.ts';
import type { Companion, CompanionKind } from './companions.ts';

export interface BesideContext {
  readonly companions: readonly Companion[];
  /** Empty at the start, removed at the end. */
  readonly folder: string;
  /** How long the application runs, each time. */
  readonly seconds: number;
  /** How often it runs beside each. */
  readonly runs: number;
  /** Absent where no library can be preloaded; what needs it is left out. */
  readonly slowDisk: SlowDisk | undefined;
  readonly tell: (text: string) => void;
}

/** One line of the table. */
export interface BesideLine {
  readonly what: string;
  readonly unit: string;
  /** Absent where it was not measured. */
  readonly values: Readonly<Partial<Record<CompanionKind, number>>>;
  /** In words. */
  readonly goal?: string;
  readonly isMet?: boolean;
}

export interface BesideMeasurement {
  readonly name: string;
  readonly title: string;
  run(context: BesideContext): Promise<BesideLine[]>;
}

/** The results beside each companion, in the order of the rounds. */
export type Results<T> = Readonly<Partial<Record<CompanionKind, readonly T[]>>>;

export interface GatherOptions {
  readonly what: string;
  /** All of them when absent. */
  readonly only?: readonly CompanionKind[];
}

/**
 * How an application and its companion run on a disk with such a sync time; undefined where no library can be preloaded for it.
 *
 * @param fsyncMs - undefined for the disk as it is
 */
export function onDisk(
  { slowDisk }: BesideContext,
  fsyncMs: number | undefined,
): { env: Record<string, string>; only?: readonly CompanionKind[] } | undefined {
  if (fsyncMs === undefined) return { env: {} };
  const env = slowDisk?.environment(fsyncMs);
  // Litestream is linked statically: no library slows its disk.
  return env && { env, only: ['none', 'rivulet'] };
}

/** Runs `once` beside each companion, in rounds; each round begins with another one. */
export async function gather<T>(
  context: BesideContext,
  { what, only }: GatherOptions,
  once: (companion: Companion, folder: RunFolder) => Promise<T>,
): Promise<Results<T>> {
  const chosen = context.companions.filter(({ kind }) => only === undefined || only.includes(kind));
  const results = Object.fromEntries(chosen.map(({ kind }) => [kind, [] as T[]]));
  for (let round = 0; round < context.runs; round++) {
    for (const i of chosen.keys()) {
      const companion = chosen[(i + round) % chosen.length];
      if (companion === undefined) continue;
      using folder = new RunFolder(context.folder, 'run');
      const result = await once(companion, folder);
      results[companion.kind]?.push(result);
      context.tell(`  ${what}, ${companion.name}: ${JSON.stringify(result)}`);
    }
  }
  return results;
}

export interface LineOptions {
  readonly what: string;
  readonly unit: string;
  /** Several rounds become one value: the greatest of what must never be exceeded, the median of everything else. */
  readonly of?: 'median' | 'most';
  readonly goal?: string;
  readonly isMet?: (ours: number) => boolean;
}

export function lineOf<T>(
  results: Results<T>,
  { what, unit, of = 'median', goal, isMet }: LineOptions,
  valueOf: (result: T) => number | undefined,
): BesideLine {
  const values: Partial<Record<CompanionKind, number>> = {};
  for (const [kind, all] of Object.entries(results) as [CompanionKind, readonly T[]][]) {
    const numbers = all.map(valueOf).filter((value) => value !== undefined);
    if (numbers.length > 0) values[kind] = of === 'most' ? Math.max(...numbers) : median(numbers);
  }
  return withGoal({ what, unit, values }, goal, isMet);
}

/** Each companion's value through another's of the same round: the median of those ratios. */
export function ratioOf<T>(
  results: Results<T>,
  { what, goal, isMet }: Omit<LineOptions, 'unit' | 'of'>,
  valueOf: (result: T) => number,
  base: CompanionKind = 'none',
): BesideLine {
  const values: Partial<Record<CompanionKind, number>> = {};
  const bases = results[base]?.map(valueOf) ?? [];
  for (const [kind, all] of Object.entries(results) as [CompanionKind, readonly T[]][]) {
    if (bases.length === 0) break;
    values[kind] = median(all.map((result, i) => valueOf(result) / (bases[i] ?? Number.NaN)));
  }
  return withGoal({ what, unit: 'x', values }, goal, isMet);
}

function withGoal(
  line: BesideLine,
  goal: string | undefined,
  isMet: ((ours: number) => boolean) | undefined,
): BesideLine {
  const ours = line.values.rivulet;
  return {
    ...line,
    ...(goal === undefined ? {} : { goal }),
    ...(isMet === undefined || ours === undefined ? {} : { isMet: isMet(ours) }),
  };
}
