/**
 * Does the database have everything that the destination holds? Asked where a first snapshot begins another generation beside a former one: a
 * WAL that was removed, a file that was copied over the database or an older disk take commits away that are stored already.
 *
 *     newest plan -> its last objects -> pages and commits; the snapshot's pages, on their way -> standing
 */
import { abortAfter } from '../../base/abort-after.ts';
import type { Clock } from '../../base/clock.ts';
import { isRivuletError, RivuletError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Inventory } from '../../generations/inventory.ts';
import type { Generation } from '../../generations/names.ts';
import type { RestorePlan } from '../../generations/plan-outcome.ts';
import { tryPlanRestore } from '../../generations/restore-plan.ts';
import type { Snapshot } from '../../primary/snapshot-source.ts';
import { SnapshotFault } from '../../restore/faults.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { compareLive, type LivePages } from './compare-live.ts';
import type { FormerPages } from './former-pages.ts';
import { readFormer } from './read-former.ts';
import { watched } from './watch-live.ts';

/** A slow destination does not hold up the first snapshot for longer. */
const READING_MS_MAX = 30_000;

/** The database lacks something that the destination holds. */
export interface GoneBack {
  readonly generation: Generation;
  /** The last moment that the destination holds of it, in milliseconds since 1970. */
  readonly untilMs: number;
  /** When the first transaction was stored that the database lacks; undefined when that is not known. */
  readonly sinceMs: number | undefined;
  /** How many it lacks; undefined when that is not known. */
  readonly transactions: number | undefined;
  /** It may lack more. */
  readonly isLeast: boolean;
  /** False where later writes may have brought pages back to what they were. */
  readonly isCertain: boolean;
}

export interface GoneBackParts {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
  /** Called before the snapshot is stored. */
  readonly onGoneBack: (found: GoneBack) => void;
}

interface Former {
  readonly plan: RestorePlan;
  readonly pages: FormerPages;
}

/** The newest state of other generations than `own`. */
function formerPlan(inventory: Inventory, own: Generation): RestorePlan | undefined {
  const generations = inventory.generations.filter(({ generation }) => generation !== own);
  return tryPlanRestore({ ...inventory, generations }, {}).plan;
}

export interface Beginning {
  readonly own: Generation;
  /** This process followed the database until `own` began. */
  readonly isFollowed: boolean;
}

/**
 * What the destination held before `own`; undefined where there is nothing, and where it cannot be read: that keeps nothing from being stored.
 */
export async function readFormerOf(
  { store, clock, logger, signal }: GoneBackParts,
  inventory: Inventory,
  { own, isFollowed }: Beginning,
): Promise<Former | undefined> {
  const plan = formerPlan(inventory, own);
  if (plan === undefined) return undefined;
  const tooLong = new RivuletError('CANCELLED', 'reading it takes too long');
  try {
    const reading = async (late: AbortSignal): Promise<FormerPages> =>
      readFormer(store, plan, signal === undefined ? late : AbortSignal.any([signal, late]));
    return { plan, pages: await abortAfter(clock, READING_MS_MAX, reading, tooLong) };
  } catch (error) {
    const isOfStored = isRivuletError(error) || error instanceof SnapshotFault;
    if (signal?.aborted === true || !isOfStored) throw error;
    const message = 'whether the database lacks something that the destination holds is not known';
    const hint =
      'If the database was put back or replaced, restore the former generation to another file and compare.';
    const fields = { former: plan.generation, error, hint };
    // Without a key nobody can look, and what happened while this process followed the database is told already.
    if (isFollowed && isRivuletError(error, 'AGE_KEY_MISSING')) logger.info(message, fields);
    else logger.warn(message, fields);
    return undefined;
  }
}

/** The same snapshot, whose pages are compared with `former` on their way. */
export function compared(snapshot: Snapshot, former: Former | undefined, parts: GoneBackParts): Snapshot {
  if (former === undefined) return snapshot;
  return watched(snapshot, former.pages, (live) => {
    const found = goneBack(former, live);
    if (found !== undefined) parts.onGoneBack(found);
  });
}

function goneBack({ plan, pages }: Former, live: LivePages): GoneBack | undefined {
  const standing = compareLive(pages, live);
  if (standing.kind !== 'behind') return undefined;
  const { lacked, isCertain, isLeast } = standing;
  return {
    generation: plan.generation,
    untilMs: plan.resultingTimeMs,
    sinceMs: lacked === undefined ? undefined : pages.storedAtMs(pages.commits - lacked + 1),
    transactions: lacked,
    isLeast,
    isCertain,
  };
}
