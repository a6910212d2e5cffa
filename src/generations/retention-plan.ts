/**
 * What a replica may forget. The window rolls: every moment of the last `retention` stays restorable, so besides
 * what is younger the plan keeps the newest snapshot that is older than the window, and everything behind it.
 */
import type {
  EndEntry,
  GenerationInventory,
  Inventory,
  KeptEntry,
  SegmentEntry,
  SnapshotEntry,
} from './inventory.ts';
import type { Generation } from './names.ts';
import { tryPlanRestore } from './restore-plan.ts';

export interface RetentionPlan {
  /** Keys to delete, in the order of the steps. */
  readonly keys: readonly string[];
  /**
   * A step begins when all of the one before is gone, as a store removes many at once, in any order. Snapshots first: what
   * is left half-done is never a chain without its end. The first segment of a log last: v0.3.13 restores nothing from a
   * generation in which a log, even one that it does not need, lacks its beginning.
   */
  readonly steps: readonly (readonly string[])[];
  readonly snapshots: readonly SnapshotEntry[];
  readonly segments: readonly SegmentEntry[];
  /** Generations of which nothing is kept. */
  readonly generations: readonly Generation[];
  readonly bytes: number;
}

interface Doomed {
  readonly snapshots: readonly SnapshotEntry[];
  readonly segments: readonly SegmentEntry[];
  readonly ends: readonly EndEntry[];
  readonly kept?: readonly KeptEntry[];
}

/**
 * Whether another generation was the live one during the whole window: it had a snapshot newer than all of this
 * one's data when the window began, and its names show no hole.
 */
function isSuperseded(inventory: Inventory, old: GenerationInventory, windowStartMs: number): boolean {
  if (old.updatedAt >= windowStartMs) return false;
  return inventory.generations.some(
    (other) =>
      other !== old &&
      other.snapshots.some(({ createdAt }) => createdAt > old.updatedAt && createdAt <= windowStartMs) &&
      tryPlanRestore(inventory, { generation: other.generation }).plan !== undefined,
  );
}

/** The oldest index that must stay, and whether a snapshot older than the window begins it. */
function oldestKept({ snapshots }: GenerationInventory, windowStartMs: number): number | undefined {
  const anchor = snapshots.findLast(({ createdAt }) => createdAt <= windowStartMs);
  return anchor?.index;
}

/** Segments before every snapshot serve nothing, but wait until they leave the window. */
function orphans({ snapshots, segments }: GenerationInventory, windowStartMs: number): SegmentEntry[] {
  const first = snapshots[0]?.index;
  if (first === undefined) return [];
  return segments.filter(({ index, createdAt }) => index < first && createdAt < windowStartMs);
}

interface When {
  readonly windowStartMs: number;
  /** Whether a keep mark counts; see `kept.ts`. */
  readonly isKept: (from: GenerationInventory) => boolean;
  readonly present: Generation | undefined;
}

function doomedOf(
  inventory: Inventory,
  from: GenerationInventory,
  { windowStartMs, isKept, present }: When,
): Doomed {
  if (from.generation !== present && !isKept(from) && isSuperseded(inventory, from, windowStartMs))
    return from;
  const keep = oldestKept(from, windowStartMs);
  if (keep === undefined) return { snapshots: [], segments: orphans(from, windowStartMs), ends: [] };
  return {
    snapshots: from.snapshots.filter(({ index }) => index < keep),
    segments: from.segments.filter(({ index }) => index < keep),
    // The furthest promise stays, whatever its index: it is the only witness of the chain's end.
    ends: from.ends.slice(0, -1).filter(({ index }) => index < keep),
  };
}

/**
 * Decides what to delete; pure.
 *
 * @param retentionMs - length of the window; 0 or less keeps everything
 * @param present - the generation that is being written: whatever others store beside it, and whatever the clocks say, it
 *   is superseded by none
 */
export function planRetention(
  inventory: Inventory,
  retentionMs: number,
  nowMs: number,
  present?: Generation,
): RetentionPlan {
  // What a moment needs may be listed a step before it.
  const startMs = retentionMs > 0 ? nowMs - retentionMs : Number.NEGATIVE_INFINITY;
  const windowStartMs = startMs - (inventory.timeStepMs ?? 1) + 1;
  const isKept = ({ kept }: GenerationInventory): boolean => (kept?.at(-1)?.untilMs ?? 0) > nowMs;
  return planWhen(inventory, { windowStartMs, isKept, present });
}

function planWhen(inventory: Inventory, when: When): RetentionPlan {
  const doomed = inventory.generations.map((from) => ({ from, ...doomedOf(inventory, from, when) }));
  const snapshots = doomed.flatMap((one) => one.snapshots);
  const segments = doomed.flatMap((one) => one.segments);
  const ends = doomed.flatMap((one) => one.ends);
  const kept = doomed.flatMap((one) => one.kept ?? []);
  const first = segments.filter(({ offsetBytes }) => offsetBytes === 0);
  const later = segments.filter(({ offsetBytes }) => offsetBytes !== 0);
  const steps = [[...snapshots, ...kept], later, [...first, ...ends]].map((step) =>
    step.map(({ key }) => key),
  );
  let bytes = 0;
  for (const { sizeBytes } of [...snapshots, ...kept, ...segments, ...ends]) bytes += sizeBytes;
  return {
    keys: steps.flat(),
    steps,
    snapshots,
    segments,
    generations: doomed
      .filter((one) => one.snapshots === one.from.snapshots)
      .map((one) => one.from.generation),
    bytes,
  };
}

/**
 * Whether time alone will let go of more than `plan` does. A window that moves on never takes anything back, so what goes
 * one day is what goes when everything has left the window. Nobody waits for the end of a keep mark: that is found when something new is
 * stored.
 */
export function expiresLater(inventory: Inventory, plan: RetentionPlan, present?: Generation): boolean {
  const isKept = ({ kept, generation }: GenerationInventory): boolean =>
    kept !== undefined && !plan.generations.includes(generation);
  const windowStartMs = Number.POSITIVE_INFINITY;
  return planWhen(inventory, { windowStartMs, isKept, present }).keys.length > plan.keys.length;
}
