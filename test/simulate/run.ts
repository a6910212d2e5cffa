/** Runs what a seed stands for, to its end or to the first violation. */
import { Random } from '../faults/random.ts';
import { befall } from './befall.ts';
import type { RunPlan } from './plan.ts';
import type { Bench } from './world/judge.ts';
import { Killed } from './world/process.ts';
import { Violation } from './world/violation.ts';
import { World } from './world/world.ts';

export interface RunCounts {
  readonly commits: number;
  readonly kills: number;
  readonly powerCuts: number;
  readonly restores: number;
  readonly snapshots: number;
  /** Copies of the database that were compared with what was committed. */
  readonly copies: number;
  readonly generations: number;
  readonly confirmed: number;
  readonly takeOvers: number;
  /** Proofs that succeeded, and that told of damage. */
  readonly proofs: number;
  readonly proofsOfDamage: number;
  readonly tampered: number;
  readonly walBytesMax: number;
  readonly spoolBytesMax: number;
  readonly settleMsMax: number;
  /** Races with the application that Rivulet has seen to be lost; how often, and for how long at most, writers had to wait for it. */
  readonly lostRaces: number;
  readonly writeLocks: number;
  readonly writeLockMsMax: number;
  /** What the application felt of Rivulet and of its own other readers. */
  readonly lockedAtOnce: number;
  readonly busyCheckpoints: number;
  readonly checkpointMsMax: number;
}

export interface RunResult {
  readonly seed: number;
  readonly violation: string | undefined;
  readonly trace: readonly string[];
  readonly counts: RunCounts;
}

export async function run(plan: RunPlan, bench: Bench): Promise<RunResult> {
  const world = new World(plan.settings, bench);
  const { random } = Math;
  const chance = new Random(plan.settings.seed + 1);
  // Waits between attempts are drawn from it.
  Math.random = () => chance.next();
  let violation: string | undefined;
  process.on('uncaughtException', passOver);
  try {
    await live(world, plan);
  } catch (error) {
    violation =
      error instanceof Violation ? error.message : `the simulation broke: ${String((error as Error).stack)}`;
  } finally {
    world.end();
    // What a listener threw is told in the next tick.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('uncaughtException', passOver);
    Math.random = random;
  }
  const { commits, kills, powerCuts, restores } = world;
  const counts = { ...world.counts, commits, kills, powerCuts, restores };
  return { seed: plan.settings.seed, violation, trace: world.trace, counts };
}

/** A process that is killed in a listener of a signal: Node.js hands on to nobody what that throws. */
function passOver(error: unknown): void {
  if (!(error instanceof Killed)) throw error;
}

async function live(world: World, plan: RunPlan): Promise<void> {
  world.begin();
  for (const event of plan.events) {
    await world.time.run(event.atMs);
    await befall(world, event);
  }
  await world.time.run(plan.durationMs);
  await world.check();
  await world.settle();
  await world.check();
  for (const place of world.places) await world.checkGenerations(place, 0.5);
  if (plan.settings.seed % IDLE_EVERY === 0) await world.assertIdle();
}

/** Waiting until nothing is due takes longer than all else, so not every run does. */
const IDLE_EVERY = 8;
