/**
 * Which objects to restore from, decided from names, sizes and times alone. A hole that names can show is refused
 * here; what only the objects' contents can show is refused when they are applied.
 */
import { chooseGeneration, missingSnapshot } from './choose-generation.ts';
import type { EndEntry, GenerationInventory, Inventory, SegmentEntry, SnapshotEntry } from './inventory.ts';
import { type Position, formatIndex, segmentKey } from './names.ts';
import type { PlanFailure, PlanOutcome, RestorePlan } from './plan-outcome.ts';
import { type RestoreTarget, formatTime, normalizeTarget } from './restore-target.ts';
import { byListedTimes } from './time-step.ts';

interface Limits {
  readonly indexMax: number;
  readonly timeMax: number;
  /** Segments of `indexMax` that begin here or later are not wanted. */
  readonly offsetEnd: number;
}

/** The segments of a walk, the first one that was left out, and the position that is missing, if any. */
interface Walk {
  readonly segments: SegmentEntry[];
  readonly next: SegmentEntry | undefined;
  readonly missing: Position | undefined;
}

/** Index of the first segment at `index` or later. */
function lowerBound(segments: readonly SegmentEntry[], index: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle] as SegmentEntry).index < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What must lie before `segment` when the chain stands behind `previous` (or at the snapshot's index); else undefined. */
function missingBefore(
  segment: Position,
  previous: Position | undefined,
  snapshotIndex: number,
): Position | undefined {
  if (previous !== undefined && segment.index === previous.index) return undefined;
  const index = previous === undefined ? snapshotIndex : previous.index + 1;
  if (segment.index === index && segment.offsetBytes === 0) return undefined;
  return { index, offsetBytes: 0 };
}

/**
 * Walks the chain from the snapshot to the last segment, in chain order, within the limits. One before it that seems
 * to be later was rewritten or copied since: what followed it was stored by then, so it belongs to that moment too.
 */
function walk(from: GenerationInventory, snapshot: SnapshotEntry, limits: Limits): Walk {
  const { indexMax, offsetEnd, timeMax } = limits;
  const last = from.segments.findLastIndex(
    ({ index, offsetBytes, createdAt }) =>
      (index < indexMax || (index === indexMax && offsetBytes < offsetEnd)) && createdAt <= timeMax,
  );
  const segments: SegmentEntry[] = [];
  let previous: SegmentEntry | undefined;
  let i = lowerBound(from.segments, snapshot.index);
  for (; i <= last; i += 1) {
    const segment = from.segments[i] as SegmentEntry;
    const missing = missingBefore(segment, previous, snapshot.index);
    if (missing !== undefined) return { segments, next: segment, missing };
    segments.push(segment);
    previous = segment;
  }
  return { segments, next: from.segments[i], missing: undefined };
}

function lastIndexOf({ snapshots, segments }: GenerationInventory): number {
  return Math.max(snapshots.at(-1)?.index ?? -1, segments.at(-1)?.index ?? -1);
}

/** The newest snapshot within the limits. */
function chooseSnapshot({ snapshots }: GenerationInventory, limits: Limits): SnapshotEntry | undefined {
  return snapshots.findLast(
    ({ index, createdAt }) => index <= limits.indexMax && createdAt <= limits.timeMax,
  );
}

function missingSegment(
  from: GenerationInventory,
  position: Position,
  next: SegmentEntry | undefined,
): PlanFailure {
  const key = segmentKey(from.generation, position);
  const after = next === undefined ? '' : `: the next one that is there is ${next.key}`;
  return {
    code: 'CHAIN_BROKEN',
    message: `${key} is missing from the replica${after}`,
    key,
    generation: from.generation,
    position,
  };
}

/** Why the generation has no state of this index, or undefined. */
function indexFailure(from: GenerationInventory, index: number): PlanFailure | undefined {
  const last = lastIndexOf(from);
  const first = from.snapshots[0]?.index ?? 0;
  if (index >= first && index <= last) return undefined;
  if (from.segments.some((segment) => segment.index === index)) return missingSnapshot(from);
  return {
    code: 'TARGET_UNAVAILABLE',
    message:
      `generation ${from.generation} has no index ${formatIndex(index)}: ` +
      `it can be restored from index ${formatIndex(first)} to its last, ${formatIndex(last)}`,
  };
}

/** The position that the walk lacks for its target, beyond what it found itself. */
function missingForTarget(found: Walk, snapshot: SnapshotEntry, target: RestoreTarget): Position | undefined {
  if (found.missing !== undefined) return found.missing;
  const reached = found.segments.at(-1)?.index ?? snapshot.index;
  if (target.index === undefined) return undefined;
  if (reached < target.index) return { index: reached + 1, offsetBytes: 0 };
  // A log that another one follows has at least a header, so a finished index without segments has lost them.
  const finished = found.next !== undefined && found.next.index > target.index;
  return finished && found.segments.length === 0 ? { index: reached, offsetBytes: 0 } : undefined;
}

function planTimeMs(snapshot: SnapshotEntry, segments: readonly SegmentEntry[]): number {
  return Math.max(snapshot.createdAt, segments.at(-1)?.createdAt ?? 0);
}

/**
 * The segment behind the last one of the plan, when it is there and the target wants everything before it. A moment
 * that is exactly that of the last object asks for that object, and for no proof that nothing is missing behind it.
 */
function witnessOf(found: Walk, snapshot: SnapshotEntry, target: RestoreTarget): SegmentEntry | undefined {
  const { next, segments } = found;
  if (next === undefined || target.offsetBytes !== undefined) return undefined;
  if (target.timestampMs !== undefined && target.timestampMs <= planTimeMs(snapshot, segments))
    return undefined;
  return missingBefore(next, segments.at(-1), snapshot.index) === undefined ? next : undefined;
}

/** The furthest promise that the target's chain must keep. */
function promiseOf(
  from: GenerationInventory,
  target: RestoreTarget,
  cut: boolean,
  timeMs: number,
): EndEntry | undefined {
  if (target.offsetBytes !== undefined) return undefined;
  if (target.timestampMs !== undefined && (cut || target.timestampMs <= timeMs)) return undefined;
  const indexMax = target.index ?? Number.POSITIVE_INFINITY;
  return from.ends.findLast(({ index }) => index <= indexMax);
}

/** A gap between the plan's end and a later segment that no snapshot explains, at a moment that may lie inside it. */
function gapAtMoment(
  from: GenerationInventory,
  snapshot: SnapshotEntry,
  found: Walk,
  target: RestoreTarget,
): Position | undefined {
  const { next, segments } = found;
  if (next === undefined || target.timestampMs === undefined) return undefined;
  if (target.timestampMs <= planTimeMs(snapshot, segments)) return undefined;
  if (from.snapshots.some(({ index }) => index > snapshot.index && index === next.index)) return undefined;
  return missingBefore(next, segments.at(-1), snapshot.index);
}

function untilOf({ index, offsetBytes }: RestoreTarget): Position | undefined {
  return index === undefined || offsetBytes === undefined ? undefined : { index, offsetBytes };
}

function assemble(
  from: GenerationInventory,
  snapshot: SnapshotEntry,
  found: Walk,
  target: RestoreTarget,
): RestorePlan {
  const { segments } = found;
  const resultingTimeMs = planTimeMs(snapshot, segments);
  const cutByTime = target.timestampMs !== undefined && found.next !== undefined;
  let bytes = snapshot.sizeBytes;
  for (const { sizeBytes } of segments) bytes += sizeBytes;
  return {
    generation: from.generation,
    snapshot,
    segments,
    cutByTime,
    until: untilOf(target),
    promise: promiseOf(from, target, cutByTime, resultingTimeMs),
    witness: witnessOf(found, snapshot, target),
    objects: segments.length + 1,
    bytes,
    resultingTimeMs,
  };
}

function stepOf({ timeStepMs }: Inventory): Pick<RestorePlan, 'timeStepMs'> {
  return timeStepMs === undefined ? {} : { timeStepMs };
}

/** Plans a restore, or says why there is none; pure. `planRestore` is the same with errors. */
export function tryPlanRestore(inventory: Inventory, wanted: RestoreTarget): PlanOutcome {
  const target = byListedTimes(normalizeTarget(wanted), inventory.timeStepMs);
  if (target.offsetBytes !== undefined && target.index === undefined) {
    return { failure: { code: 'USAGE', message: 'an offset can only be asked for together with its index' } };
  }
  if (target.index !== undefined && target.timestampMs !== undefined) {
    return { failure: { code: 'USAGE', message: 'an index and a timestamp cannot both be asked for' } };
  }
  const { chosen, failure } = chooseGeneration(inventory, target);
  if (chosen === undefined) return { failure };
  const unavailable = target.index === undefined ? undefined : indexFailure(chosen, target.index);
  if (unavailable !== undefined) return { failure: unavailable };
  const limits = {
    indexMax: target.index ?? Number.POSITIVE_INFINITY,
    timeMax: target.timestampMs ?? Number.POSITIVE_INFINITY,
    offsetEnd: target.offsetBytes ?? Number.POSITIVE_INFINITY,
  };
  const snapshot = chooseSnapshot(chosen, limits);
  if (snapshot === undefined) {
    // Unreachable: the generation was chosen for having one, and the index lies behind its first.
    throw new Error(`no snapshot within the limits (${formatTime(limits.timeMax)})`);
  }
  const found = walk(chosen, snapshot, limits);
  const missing = missingForTarget(found, snapshot, target) ?? gapAtMoment(chosen, snapshot, found, target);
  if (missing !== undefined) return { failure: missingSegment(chosen, missing, found.next) };
  return { plan: { ...assemble(chosen, snapshot, found, target), ...stepOf(inventory) } };
}
