/**
 * Which older moment to restore for a proof: at random, but mostly at borders, where mistakes live: just after a snapshot, the
 * end of a former generation, the oldest moment of the window. Pure.
 */
import type { Inventory } from '../generations/inventory.ts';
import { lastMomentMs } from '../generations/time-step.ts';
import type { RestoreTarget } from '../generations/restore-target.ts';

export interface ChosenPoint {
  readonly target: RestoreTarget;
  /** What is special about it, for people. */
  readonly what: string;
}

type Choice = readonly [weight: number, point: () => ChosenPoint | undefined];

/**
 * @param windowStartMs - from when on everything is to be restorable, in milliseconds since 1970
 * @param random - numbers from 0 up to 1
 * @returns undefined when there is nothing older than the newest state
 */
export function choosePoint(
  inventory: Inventory,
  windowStartMs: number,
  random: () => number,
): ChosenPoint | undefined {
  const choices: Choice[] = [
    [3, () => afterSnapshot(inventory, random)],
    [3, () => oldestMoment(inventory, windowStartMs)],
    [2, () => formerGeneration(inventory, random)],
    [2, () => anyMoment(inventory, windowStartMs, random)],
  ];
  const possible = choices.map(([weight, point]) => ({ weight, point: point() }));
  const present = possible.filter(({ point }) => point !== undefined);
  let at = random() * present.reduce((sum, { weight }) => sum + weight, 0);
  for (const { weight, point } of present) {
    at -= weight;
    if (at < 0) return point;
  }
  return present.at(-1)?.point;
}

function pick<T>(from: readonly T[], random: () => number): T | undefined {
  return from[Math.min(from.length - 1, Math.floor(random() * from.length))];
}

function afterSnapshot(
  { generations, timeStepMs }: Inventory,
  random: () => number,
): ChosenPoint | undefined {
  const all = generations.flatMap(({ generation, snapshots }) =>
    snapshots.map(({ createdAt }) => ({ generation, timestampMs: lastMomentMs(createdAt, timeStepMs) })),
  );
  const target = pick(all, random);
  return target && { target, what: 'just after a snapshot' };
}

/** Without a generation: which one was the live one then is part of what is proven. */
function oldestMoment(
  { generations, timeStepMs }: Inventory,
  windowStartMs: number,
): ChosenPoint | undefined {
  const snapshots = generations.flatMap((one) => one.snapshots.map(({ createdAt }) => createdAt));
  if (snapshots.length === 0) return undefined;
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const createdAt of snapshots) oldestMs = Math.min(oldestMs, createdAt);
  const timestampMs = Math.max(lastMomentMs(oldestMs, timeStepMs), windowStartMs);
  return { target: { timestampMs }, what: 'the oldest moment that is kept' };
}

function formerGeneration({ generations }: Inventory, random: () => number): ChosenPoint | undefined {
  const former = generations.slice(0, -1).filter(({ snapshots }) => snapshots.length > 0);
  const chosen = pick(former, random);
  return chosen && { target: { generation: chosen.generation }, what: 'the end of a former generation' };
}

function anyMoment(
  { generations, timeStepMs }: Inventory,
  windowStartMs: number,
  random: () => number,
): ChosenPoint | undefined {
  let firstMs = Number.POSITIVE_INFINITY;
  for (const { snapshots } of generations) firstMs = Math.min(firstMs, snapshots[0]?.createdAt ?? firstMs);
  const fromMs = Math.max(firstMs, windowStartMs);
  const within = generations.flatMap(({ segments }) =>
    segments.filter(({ createdAt }) => createdAt >= fromMs),
  );
  const segment = pick(within, random);
  const timestampMs = lastMomentMs(segment?.createdAt ?? 0, timeStepMs);
  return segment && { target: { timestampMs }, what: 'a moment at random' };
}
