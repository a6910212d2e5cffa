/** The error for a chain with a hole: what is wrong, and what can still be had. */
import { RivuletError } from '../base/errors.ts';
import type { Inventory } from './inventory.ts';
import { type Breakage, describePoint, newestRestorablePoint } from './restorable-points.ts';

/**
 * @param reason - names the object and says what is wrong with it
 * @param key - that object
 */
export function brokenChain(
  inventory: Inventory,
  broken: Breakage & { readonly key: string; readonly reason: string; readonly cause?: unknown },
): RivuletError {
  const point = newestRestorablePoint(inventory, broken);
  return new RivuletError('CHAIN_BROKEN', `${broken.reason}; ${describePoint(point)}`, {
    cause: broken.cause,
    ...(point === undefined ? {} : { hint: `To restore it, run restore again with: ${point.flags}` }),
    details: {
      key: broken.key,
      ...(point === undefined ? {} : { newestRestorable: point.timeMs, flags: point.flags }),
    },
  });
}
