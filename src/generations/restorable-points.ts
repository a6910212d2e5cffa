/** States that can still be restored when the one asked for cannot, and the flags that restore them. */
import type { GenerationInventory, Inventory, SegmentEntry } from './inventory.ts';
import { assembleGeneration, assembleInventory } from './inventory.ts';
import { type Generation, type Position, comparePositions } from './names.ts';
import type { RestorePlan } from './plan-outcome.ts';
import { tryPlanRestore } from './restore-plan.ts';
import { type RestoreTarget, formatTargetFlags, formatTime } from './restore-target.ts';
import { lastMomentMs } from './time-step.ts';

export interface RestorePoint {
  readonly target: RestoreTarget;
  readonly plan: RestorePlan;
  readonly timeMs: number;
  /** What to give `restore` to get it. */
  readonly flags: string;
}

/** What is known to be broken, so that no suggestion runs into it again. */
export interface Breakage {
  readonly generation: Generation;
  /** No chain from a snapshot of this index or before gets to a segment here or later. */
  readonly from?: Position | undefined;
  /** Objects that cannot be used, or claims that cannot be met. */
  readonly keys: ReadonlySet<string>;
}

/** Suggestions are a help, not a search: enough for a replica with this many separate holes per generation. */
const ATTEMPTS_MAX = 64;
const GENERATIONS_MAX = 16;

function passesBreak(plan: RestorePlan, { generation, from }: Breakage): boolean {
  const last = plan.segments.at(-1);
  if (from === undefined || last === undefined || plan.generation !== generation) return false;
  return plan.snapshot.index <= from.index && comparePositions(last, from) >= 0;
}

function usesBroken({ promise, witness }: RestorePlan, { keys }: Breakage): boolean {
  return keys.has(promise?.key ?? '') || keys.has(witness?.key ?? '');
}

/** The inventory without snapshots that are known to be damaged. */
export function withoutSnapshots(inventory: Inventory, keys: ReadonlySet<string>): Inventory {
  const left = inventory.generations.map((generation) =>
    assembleGeneration(generation.generation, {
      snapshots: generation.snapshots.filter(({ key }) => !keys.has(key)),
      segments: [...generation.segments],
      ends: [...generation.ends],
      kept: [...(generation.kept ?? [])],
    }),
  );
  return { ...inventory, ...assembleInventory(left, inventory.strangers) };
}

/** Targets that end with segment `at`: its index when it is the last of it, and its moment. */
function targetsEndingAt(
  from: GenerationInventory,
  at: number,
  timeStepMs: number | undefined,
): RestoreTarget[] {
  const { generation, segments } = from;
  const segment = segments[at] as SegmentEntry;
  const byTime = { generation, timestampMs: lastMomentMs(segment.createdAt, timeStepMs) };
  return segments[at + 1]?.index === segment.index
    ? [byTime]
    : [{ generation, index: segment.index }, byTime];
}

/** Which segments cannot be the end of a state either, when one could not: those not before both of these. */
interface Blocked {
  readonly position?: Position | undefined;
  readonly timeMs?: number | undefined;
}

type Attempt = { readonly point: RestorePoint } | { readonly blocked: Blocked };

function attempt(inventory: Inventory, target: RestoreTarget, breakage: Breakage): Attempt {
  const { plan, failure } = tryPlanRestore(inventory, target);
  if (plan === undefined) return { blocked: { position: failure.position } };
  // Whatever is asked for at the time of this snapshot or later, or at its index or later, begins with it.
  if (breakage.keys.has(plan.snapshot.key)) return { blocked: { timeMs: plan.snapshot.createdAt } };
  if (passesBreak(plan, breakage)) return { blocked: { position: breakage.from } };
  if (usesBroken(plan, breakage)) return { blocked: {} };
  return { point: { target, plan, timeMs: plan.resultingTimeMs, flags: formatTargetFlags(target) } };
}

function firstPoint(inventory: Inventory, targets: readonly RestoreTarget[], breakage: Breakage): Attempt {
  let blocked: Blocked = {};
  for (const target of targets) {
    const outcome = attempt(inventory, target, breakage);
    if ('point' in outcome) return outcome;
    blocked = { ...blocked, ...outcome.blocked };
  }
  return { blocked };
}

/** The last segment before place `at` that may still be an end; -1 when there is none. */
function nextEnd(segments: readonly SegmentEntry[], at: number, { position, timeMs }: Blocked): number {
  return segments.findLastIndex(
    (segment, i) =>
      i < at &&
      (position === undefined || comparePositions(segment, position) < 0) &&
      (timeMs === undefined || segment.createdAt < timeMs),
  );
}

/** Walks back over the chain; a break rules out everything behind it at once. */
function newestOf(
  inventory: Inventory,
  from: GenerationInventory,
  breakage: Breakage,
): RestorePoint | undefined {
  const { generation, segments, snapshots } = from;
  const latest = attempt(inventory, { generation }, breakage);
  if ('point' in latest) return latest.point;
  let at = segments.length - 1;
  for (let attempts = 0; at >= 0 && attempts < ATTEMPTS_MAX; attempts += 1) {
    const outcome = firstPoint(inventory, targetsEndingAt(from, at, inventory.timeStepMs), breakage);
    if ('point' in outcome) return outcome.point;
    at = nextEnd(segments, at, outcome.blocked);
  }
  const moments = snapshots
    .map(({ createdAt }) => ({ generation, timestampMs: lastMomentMs(createdAt, inventory.timeStepMs) }))
    .toReversed();
  const outcome = firstPoint(inventory, moments.slice(0, ATTEMPTS_MAX), breakage);
  return 'point' in outcome ? outcome.point : undefined;
}

/**
 * The newest state that names and `breakage` leave restorable, over all generations; undefined when there is none.
 * Each suggestion was planned with its own flags, so they lead to what is promised unless more is broken.
 */
export function newestRestorablePoint(inventory: Inventory, breakage: Breakage): RestorePoint | undefined {
  const newestFirst = [...inventory.generations]
    .sort((a, b) => b.updatedAt - a.updatedAt)
    .slice(0, GENERATIONS_MAX);
  let newest: RestorePoint | undefined;
  for (const generation of newestFirst) {
    const point = newestOf(inventory, generation, breakage);
    if (point !== undefined && (newest === undefined || point.timeMs > newest.timeMs)) newest = point;
  }
  return newest;
}

/** One sentence that names the newest restorable point. */
export function describePoint(point: RestorePoint | undefined): string {
  if (point === undefined) return 'nothing else in the replica can be restored';
  return `the newest restorable point is ${formatTime(point.timeMs)} (${point.flags})`;
}
