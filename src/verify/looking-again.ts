/**
 * Nobody is told of damage that was seen once. A listing may be taken while retention removes, or while something arrives;
 * what is still missing after nothing has gone between two looks is a hole.
 */
import type { Clock } from '../base/clock.ts';
import { RivuletError } from '../base/errors.ts';
import { hasLost, type Inventory } from '../generations/inventory.ts';
import type { Broken, Proof } from './proof.ts';

const LOOKS_MAX = 5;
/** Between two looks: time for a listing that lags, and for a removal that is under way. */
const PAUSE_MS = 500;

export interface Look<T extends Proof> {
  readonly proof: T | Broken;
  /** What the destination held. */
  readonly inventory: Inventory;
}

export interface LookingParts {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks until the outcome can be trusted. What a look leaves open, the next one may tell.
 *
 * @param look - lists anew and proves
 */
export async function untilCertain<T extends Proof>(
  look: () => Promise<Look<T>>,
  { clock, signal }: LookingParts,
): Promise<Proof> {
  let before: Look<T> | undefined;
  let open: T | undefined;
  for (let looks = 1; looks <= LOOKS_MAX; looks += 1) {
    const now = await look();
    open = undefined;
    if (now.proof.outcome === 'inconclusive') open = now.proof;
    else if (now.proof.outcome !== 'broken') return now.proof;
    if (before !== undefined && isSameDamage(before, now) && !hasLost(before.inventory, now.inventory)) {
      return now.proof;
    }
    before = now;
    await clock.sleep(PAUSE_MS, signal);
  }
  return (
    open ?? {
      outcome: 'inconclusive',
      error: new RivuletError('STORAGE_FAILED', 'objects keep disappearing while they are looked at'),
    }
  );
}

function isSameDamage<T extends Proof>(a: Look<T>, b: Look<T>): boolean {
  if (a.proof.outcome !== 'broken' || b.proof.outcome !== 'broken') return false;
  return a.proof.damage.key === b.proof.damage.key;
}
