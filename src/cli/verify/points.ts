/** Which points of a replica `verify` proves. Pure. */
import type { Inventory } from '../../generations/inventory.ts';
import { formatTargetFlags, type RestoreTarget } from '../../generations/restore-target.ts';

export interface Point {
  readonly target: RestoreTarget;
  /** For people. */
  readonly what: string;
}

/**
 * Every generation, and in it every snapshot with what follows it up to the next one: together all that could be asked for.
 * A generation that has lost its snapshots is one point, which will turn out to be broken.
 */
export function allPoints({ generations }: Inventory): readonly Point[] {
  return generations.flatMap(({ generation, snapshots }) => {
    const starts = snapshots.map(({ index }, i) => ({ index, next: snapshots[i + 1]?.index }));
    if (starts.length === 0) return [pointOf({ generation })];
    return starts.map(({ next }) =>
      pointOf(next === undefined ? { generation } : { generation, index: next - 1 }),
    );
  });
}

export function pointOf(target: RestoreTarget): Point {
  const flags = formatTargetFlags(target);
  return { target, what: flags === '' ? 'the newest state' : flags };
}
