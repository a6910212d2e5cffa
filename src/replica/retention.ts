/** Carries out a retention plan at one destination. */
import type { Logger } from '../base/log.ts';
import { type Inventory, readInventory } from '../generations/inventory.ts';
import type { Generation } from '../generations/names.ts';
import { expiresLater, planRetention } from '../generations/retention-plan.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** Objects removed with one call; S3 takes a thousand at most. */
const REMOVE_BATCH = 1000;

export interface RetentionParts {
  readonly store: ObjectStore;
  readonly retentionMs: number;
  readonly nowMs: number;
  /** The generation that is being written. */
  readonly present?: Generation | undefined;
  readonly logger: Logger;
  readonly signal?: AbortSignal | undefined;
}

export interface RetentionOutcome {
  readonly removed: number;
  readonly isIdle: boolean;
  readonly inventory: Inventory;
}

/**
 * Looks at everything that the destination holds and removes what the plan lets go of.
 *
 * @returns isIdle: nothing of what is there can expire before something new is written; and what there was
 * @throws RivuletError `STORAGE_FAILED`; what could not be removed is found again at the next check
 */
export async function enforceRetention(parts: RetentionParts): Promise<RetentionOutcome> {
  const { store, logger, signal } = parts;
  const inventory = await readInventory(store, signal === undefined ? {} : { signal });
  const plan = planRetention(inventory, parts.retentionMs, parts.nowMs, parts.present);
  for (const keys of plan.steps) {
    for (let at = 0; at < keys.length; at += REMOVE_BATCH) {
      await store.remove(keys.slice(at, at + REMOVE_BATCH), { signal });
    }
  }
  if (plan.keys.length > 0) {
    logger.info('removed what is older than the retention', {
      snapshots: plan.snapshots.length,
      segments: plan.segments.length,
      generations: plan.generations.length,
      bytes: plan.bytes,
    });
  }
  return { removed: plan.keys.length, isIdle: !expiresLater(inventory, plan, parts.present), inventory };
}
