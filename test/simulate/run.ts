/** One simulated run from one seed: a world, a plan of what befalls it, and the checks. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../faults/random.ts';
import type { Habits } from './world/application.ts';
import { Violation, World, type WorldSettings } from './world/world.ts';

export type EventKind =
  | 'kill'
  | 'kill-in-call'
  | 'stop'
  | 'kill-application'
  | 'power-cut'
  | 'away'
  | 'bad-manners'
  | 'stale-listings'
  | 'disk-full'
  | 'clock-jump'
  | 'store-clock'
  | 'check';

export interface PlannedEvent {
  readonly atMs: number;
  readonly kind: EventKind;
  /** How long it lasts, or how much of it; its meaning depends on the kind. */
  readonly amount: number;
  /** Further choices, each from 0 to 1. */
  readonly choices: readonly number[];
}

export interface RunPlan {
  readonly settings: WorldSettings;
  readonly durationMs: number;
  readonly events: readonly PlannedEvent[];
}

export interface RunResult {
  readonly seed: number;
  readonly violation: string | undefined;
  readonly trace: readonly string[];
  readonly counts: World['counts'];
  readonly transactions: number;
}

const WEIGHTS: Readonly<Record<EventKind, number>> = {
  kill: 3,
  'kill-in-call': 6,
  stop: 3,
  'kill-application': 3,
  'power-cut': 2,
  away: 2,
  'bad-manners': 4,
  'stale-listings': 1,
  'disk-full': 1,
  'clock-jump': 1,
  'store-clock': 1,
  check: 6,
};

const SETTLE_MS = 180_000;

export function planRun(seed: number): RunPlan {
  const random = new Random(seed);
  const durationMs = random.int(2_000, 30_000);
  const count = random.int(2, 14);
  const events = Array.from({ length: count }, (): PlannedEvent => ({
    atMs: random.int(0, durationMs),
    kind: random.weighted(WEIGHTS),
    amount: random.int(1, 5_000),
    choices: [random.next(), random.next(), random.next(), random.next()],
  })).sort((a, b) => a.atMs - b.atMs);
  return { settings: planWorld(seed, random), durationMs, events };
}

function planWorld(seed: number, random: Random): WorldSettings {
  const habits: Habits = {
    pauseMs: random.pick([30, 150, 600, 3_000]),
    pagesMax: random.int(6, 40),
    synchronousFull: random.chance(0.5),
    autoCheckpointFrames: random.pick([0, 0, 5, 20, 60]),
    weights: {
      commit: 20,
      large: random.int(0, 6),
      rollback: random.int(0, 3),
      checkpoint: random.int(0, 3),
      read: random.int(0, 2),
      reopen: random.int(0, 1),
      shrink: random.int(0, 2),
      rest: 1,
    },
  };
  const minPages = random.pick([4, 10, 30, 1_000]);
  const conditions = random.pick(['compare-and-swap', 'compare-and-swap', 'create-only', 'none'] as const);
  return {
    seed,
    habits,
    pages: random.int(2, 8),
    conditions,
    manners: { latencyMs: random.pick([1, 20, 200]) },
    checkpoint: {
      minPages,
      maxPages: minPages * 10,
      intervalMs: random.pick([0, 1_000, 60_000]),
      walLimitBytes: random.pick([20_000, 200_000, 10_000_000]),
    },
    replica: {
      syncIntervalMs: random.pick([10, 100, 1_000]),
      retentionMs: random.pick([0, 5_000, 20_000, 86_400_000]),
      retentionCheckIntervalMs: random.pick([500, 5_000]),
      snapshotIntervalMs: random.pick([0, 1_000, 5_000, 20_000]),
      validationIntervalMs: undefined,
      // A store that overwrites needs it: a request that was given up may arrive after its repetition.
      recordsUploads: conditions === 'none' || random.chance(0.3),
    },
    pollMs: random.pick([50, 500, 1_000]),
    interleaving: random.pick([0, 0.05, 0.3, 0.6]),
  };
}

/** Runs a plan to its end, or to the first violation. */
export async function run(plan: RunPlan): Promise<RunResult> {
  const scratch = mkdtempSync(join(tmpdir(), 'rivulet-simulation-'));
  const world = new World(plan.settings, scratch);
  let violation: string | undefined;
  const { random } = Math;
  const chance = new Random(plan.settings.seed + 1);
  // Waits between attempts are drawn from it.
  Math.random = () => chance.next();
  try {
    world.begin();
    for (const event of plan.events) {
      await world.time.run(event.atMs);
      await befall(world, event);
    }
    await world.time.run(plan.durationMs);
    await world.check();
    await world.settle(SETTLE_MS);
    await world.check();
  } catch (error) {
    violation =
      error instanceof Violation ? error.message : `the simulation broke: ${String((error as Error).stack)}`;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    world.rivulet?.kill();
    Math.random = random;
  }
  const { counts, trace } = world;
  const transactions = world.application.lastTransaction;
  return { seed: plan.settings.seed, violation, trace, counts, transactions };
}

async function befall(world: World, { kind, amount, choices }: PlannedEvent): Promise<void> {
  const [a = 0, b = 0, c = 0, d = 0] = choices;
  const { manners } = world.server;
  const later = (action: () => void): void => void world.time.after(amount, action);
  switch (kind) {
    case 'kill':
      world.killRivulet();
      return later(() => world.startRivulet());
    case 'kill-in-call':
      world.killRivuletAfterCalls(Math.floor(a * 300));
      return void world.time.after(amount + 500, () => world.startRivulet());
    case 'stop':
      world.stopRivulet();
      return void world.time.after(amount + 6_000, () => world.startRivulet());
    case 'kill-application':
      return world.killApplication(amount);
    case 'power-cut':
      world.powerCut();
      return later(() => world.startRivulet());
    case 'away':
      world.note('the store is away');
      manners.isAway = true;
      return void world.time.after(amount * 4, () => (manners.isAway = false));
    case 'bad-manners':
      world.note('the store misbehaves');
      Object.assign(manners, { failing: a * 0.6, forgetful: b * 0.4, hanging: c * 0.05, doubled: d * 0.3 });
      return void world.time.after(amount * 4, () =>
        Object.assign(manners, { failing: 0, forgetful: 0, hanging: 0, doubled: 0 }),
      );
    case 'stale-listings':
      world.note('listings lag behind');
      manners.listingLagMs = Math.floor(a * 3_000);
      return void world.time.after(amount, () => (manners.listingLagMs = 0));
    case 'disk-full':
      world.note('the disk is full');
      world.disk.isFull = true;
      return later(() => (world.disk.isFull = false));
    case 'clock-jump':
      return world.jumpClock(Math.floor((a - 0.5) * 7_200_000));
    case 'store-clock':
      world.note('the clock of the store moves');
      manners.skewMs += Math.floor(a * 10_000);
      return undefined;
    case 'check':
      return world.check();
  }
}
