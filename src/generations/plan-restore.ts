/** The restore plan for people: the same decision, with errors that say what can be had instead. */
import { RivuletError } from '../base/errors.ts';
import { brokenChain } from './broken-chain.ts';
import type { Inventory } from './inventory.ts';
import type { PlanFailure, RestorePlan } from './plan-outcome.ts';
import { tryPlanRestore } from './restore-plan.ts';
import type { RestoreTarget } from './restore-target.ts';

function errorOf(inventory: Inventory, failure: PlanFailure): RivuletError {
  const { code, message, generation, position, key } = failure;
  if (code !== 'CHAIN_BROKEN' || generation === undefined || key === undefined) {
    return new RivuletError(code, message);
  }
  return brokenChain(inventory, { generation, from: position, keys: new Set([key]), key, reason: message });
}

/**
 * Plans a restore of `target` from what the names in the replica say.
 *
 * @throws RivuletError `REPLICA_EMPTY`; `TARGET_UNAVAILABLE`, naming what is available; `CHAIN_BROKEN`, naming the
 *   missing object, the newest restorable point and the flags that restore it; `USAGE` for an impossible target
 */
export function planRestore(inventory: Inventory, target: RestoreTarget): RestorePlan {
  const { plan, failure } = tryPlanRestore(inventory, target);
  if (plan === undefined) throw errorOf(inventory, failure);
  return plan;
}
