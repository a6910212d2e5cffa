/**
 * What a replica may forget. The window rolls: every moment of the last `retention` stays restorable, so besides
 * what is younger the plan keeps the newest snapshot that is older than the window, and everything behind it.
 */
import type { EndEntry, GenerationInventory, Inventory, SegmentEntry, SnapshotEntry } from './inventory.ts';
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

function doomedOf(
  inventory: Inventory,
  from: GenerationInventory,
  { windowStartMs, present }: { readonly windowStartMs: number; readonly present: Generation | undefined },
): Doomed {
  if (from.generation !== present && isSuperseded(inventory, from, windowStartMs)) return from;
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
  const windowStartMs = retentionMs > 0 ? nowMs - retentionMs : Number.NEGATIVE_INFINITY;
  const when = { windowStartMs, present };
  const doomed = inventory.generations.map((from) => ({ from, ...doomedOf(inventory, from, when) }));
  const snapshots = doomed.flatMap((one) => one.snapshots);
  const segments = doomed.flatMap((one) => one.segments);
  const ends = doomed.flatMap((one) => one.ends);
  const first = segments.filter(({ offsetBytes }) => offsetBytes === 0);
  const later = segments.filter(({ offsetBytes }) => offsetBytes !== 0);
  const steps = [snapshots, later, [...first, ...ends]].map((step) => step.map(({ key }) => key));
  let bytes = 0;
  for (const { sizeBytes } of [...snapshots, ...segments, ...ends]) bytes += sizeBytes;
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
 * one day is what goes when everything has left the window.
 */
export function expiresLater(inventory: Inventory, plan: RetentionPlan, present?: Generation): boolean {
  return planRetention(inventory, 1, Number.POSITIVE_INFINITY, present).keys.length > plan.keys.length;
}
