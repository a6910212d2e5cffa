/** Which generation a target means. */
import type { GenerationInventory, Inventory } from './inventory.ts';
import { generationOf } from './inventory.ts';
import { snapshotKey } from './names.ts';
import type { PlanFailure } from './plan-outcome.ts';
import { type RestoreTarget, formatTime } from './restore-target.ts';
import { describeStep, lastMomentMs } from './time-step.ts';

type Choice =
  | { readonly chosen: GenerationInventory; readonly failure?: never }
  | { readonly failure: PlanFailure; readonly chosen?: never };

/** Of a place that holds nothing. The first words are Litestream's, which entry points look for to know a first start. */
export const EMPTY_REPLICA = 'no matching backups found: the replica holds nothing that could be restored';

/** The moments that can be asked for, from the oldest snapshot to the newest object, as an error shows them. */
function formatRange(generations: readonly GenerationInventory[], timeStepMs: number | undefined): string {
  const snapshots = generations.flatMap((generation) => generation.snapshots);
  if (snapshots.length === 0) return 'no snapshot at all';
  let from = Number.POSITIVE_INFINITY;
  for (const { createdAt } of snapshots) from = Math.min(from, createdAt);
  let to = from;
  for (const { updatedAt } of generations) to = Math.max(to, updatedAt);
  const [first, last] = [lastMomentMs(from, timeStepMs), lastMomentMs(to, timeStepMs)];
  const step = describeStep(timeStepMs);
  return `${formatTime(first)} to ${formatTime(last)}${step === undefined ? '' : ` (${step})`}`;
}

/**
 * When the generation was last seen alive at `timeMs`; undefined when it had nothing yet. The last objects in chain
 * order tell, not the newest ones: an old object that was copied or rewritten must not bring a dead generation to life.
 */
function aliveAt({ snapshots, segments, ends }: GenerationInventory, timeMs: number): number | undefined {
  const last = (objects: readonly { createdAt: number }[]): number =>
    objects.findLast(({ createdAt }) => createdAt <= timeMs)?.createdAt ?? Number.NEGATIVE_INFINITY;
  const isEmpty = snapshots.length + segments.length === 0;
  const time = isEmpty ? last(ends) : Math.max(last(snapshots), last(segments));
  return time === Number.NEGATIVE_INFINITY ? undefined : time;
}

/** The generation whose data was the live one at `timeMs`: the one with the newest object not after it. */
function liveAt(
  generations: readonly GenerationInventory[],
  timeMs: number,
  endings: Inventory['endings'],
): GenerationInventory | undefined {
  let live: GenerationInventory | undefined;
  let liveTime = Number.NEGATIVE_INFINITY;
  // They come in the order in which they began, so of two with the same last moment the younger one wins.
  for (const generation of generations) {
    // What arrived after its writer was superseded was never confirmed to anybody.
    const endMs = endings?.get(generation.generation) ?? Number.POSITIVE_INFINITY;
    const time = aliveAt(generation, Math.min(timeMs, endMs));
    if (time === undefined || time < liveTime) continue;
    live = generation;
    liveTime = time;
  }
  return live;
}

/** The failure of a generation whose first segments have no snapshot to be applied to. */
export function missingSnapshot(chosen: GenerationInventory): PlanFailure {
  const first = chosen.segments[0] ?? chosen.ends[0];
  const position = { index: first?.index ?? 0, offsetBytes: 0 };
  const key = snapshotKey(chosen.generation, position.index);
  return {
    code: 'CHAIN_BROKEN',
    message: `${key} is missing: without a snapshot to start from, ${first?.key ?? chosen.generation} is of no use`,
    key,
    generation: chosen.generation,
    position,
  };
}

/** What was asked for, by the times of the listing. */
interface Asked {
  readonly timeMs: number;
  readonly timeStepMs: number | undefined;
}

function tooEarly(generations: readonly GenerationInventory[], { timeMs, timeStepMs }: Asked): PlanFailure {
  const asked = formatTime(lastMomentMs(timeMs, timeStepMs));
  return {
    code: 'TARGET_UNAVAILABLE',
    message: `nothing can be restored as of ${asked}: the replica reaches from ${formatRange(generations, timeStepMs)}`,
  };
}

/** Explains a generation that had data at `timeMs` but no snapshot. */
function noSnapshotYet(chosen: GenerationInventory, asked: Asked): PlanFailure {
  const first = chosen.segments[0];
  const startsAtSnapshot = chosen.snapshots.some(
    (snapshot) => first === undefined || snapshot.index <= first.index,
  );
  return startsAtSnapshot ? tooEarly([chosen], asked) : missingSnapshot(chosen);
}

/**
 * What may hold the latest state. The lease knows without any clock that a generation was superseded by the one that is written
 * now: where the store's clock was set back in between, the times of objects say the opposite. It says nothing about
 * generations of programs that know no lease, and one that cannot be restored yet takes nobody's place.
 */
function notSuperseded({ generations, endings, written }: Inventory): readonly GenerationInventory[] {
  const hasSuccessor = generations.some(
    ({ generation, snapshots }) => snapshots.length > 0 && written?.has(generation) === true,
  );
  return hasSuccessor
    ? generations.filter(({ generation }) => endings?.has(generation) !== true)
    : generations;
}

function unknownGeneration(inventory: Inventory, name: string): PlanFailure {
  const known = inventory.generations.map(({ generation }) => generation).join(', ');
  return {
    code: 'TARGET_UNAVAILABLE',
    message: `there is no generation ${name} in the replica; it holds ${known}`,
  };
}

/**
 * The generation that was live at the target's moment, or that was written last when no moment is given. Its data
 * decides, not its snapshots: one that has lost its snapshot is an error, never a reason to take an older one.
 *
 * @param target - by the times of the listing; see `byListedTimes`
 */
export function chooseGeneration(inventory: Inventory, target: RestoreTarget): Choice {
  if (inventory.generations.length === 0) {
    return {
      failure: { code: 'REPLICA_EMPTY', message: EMPTY_REPLICA },
    };
  }
  const named = target.generation === undefined ? undefined : generationOf(inventory, target.generation);
  if (target.generation !== undefined && named === undefined) {
    return { failure: unknownGeneration(inventory, target.generation) };
  }
  const timeMs = target.timestampMs ?? Number.POSITIVE_INFINITY;
  const open = timeMs === Number.POSITIVE_INFINITY ? notSuperseded(inventory) : inventory.generations;
  const candidates = named === undefined ? open : [named];
  const chosen = liveAt(candidates, timeMs, inventory.endings) ?? liveAt(candidates, timeMs, undefined);
  const asked = { timeMs, timeStepMs: inventory.timeStepMs };
  if (chosen === undefined) return { failure: tooEarly(candidates, asked) };
  if (chosen.snapshots.some(({ createdAt }) => createdAt <= timeMs)) return { chosen };
  return {
    failure: chosen.snapshots.length === 0 ? missingSnapshot(chosen) : noSnapshotYet(chosen, asked),
  };
}
