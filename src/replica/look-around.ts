/**
 * What is at a destination that is about to get a first snapshot. A new one is empty. One that held something and holds nothing any more
 * has lost it, and one with something else in it may be the wrong place: both are told before anything is stored beside it.
 */
import { isRivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { generationOf, type Inventory, readInventory } from '../generations/inventory.ts';
import { type Generation, snapshotKey } from '../generations/names.ts';
import { lookForLtx, lookForOther, type OtherContents } from '../generations/other-contents.ts';
import { withEndings } from '../generations/superseded.ts';
import { isThere } from '../storage/is-there.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { HeldSnapshot } from './stored-note.ts';

export interface LookAroundParts {
  readonly store: ObjectStore;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
  /** What was stored there last, as far as is known here. */
  readonly held: HeldSnapshot | undefined;
  /** Everything that was stored there is gone; called at each look until something is stored. */
  readonly onEmptied: (held: HeldSnapshot) => void;
  /** Something else is there; called at each look until something is stored. */
  readonly onOther: (contents: OtherContents) => void;
}

/**
 * Looks and tells. What cannot be looked at keeps nothing from being stored.
 *
 * @returns what the destination holds; undefined when that could not be found out
 */
export async function lookAround(
  parts: LookAroundParts,
  generation: Generation,
): Promise<Inventory | undefined> {
  const { store, logger, signal } = parts;
  try {
    const inventory = await withEndings(await readInventory(store, { signal }), store, { signal });
    if (await isEmptied(parts, inventory, generation)) parts.onEmptied(parts.held!);
    const other = await otherAt(parts, inventory);
    if (other !== undefined) parts.onOther(other);
    return inventory;
  } catch (error) {
    if (signal?.aborted === true || !isRivuletError(error)) throw error;
    logger.debug('what else is at the destination could not be looked at', { error });
    return undefined;
  }
}

/** A listing may be behind: the snapshot that is known is asked for by its name as well. */
async function isEmptied(
  { store, signal, held }: LookAroundParts,
  inventory: Inventory,
  generation: Generation,
): Promise<boolean> {
  if (held === undefined) return false;
  // Retention, also that of another process, never takes the last snapshot, nor one of the generation that is written.
  const places =
    held.generation === generation ? [generationOf(inventory, generation)] : inventory.generations;
  if (places.some((place) => (place?.snapshots.length ?? 0) > 0)) return false;
  return !(await isThere(store, snapshotKey(held.generation, held.index), { signal }));
}

async function otherAt(
  { store, signal }: LookAroundParts,
  { generations }: Inventory,
): Promise<OtherContents | undefined> {
  if (generations.length > 0) return (await lookForLtx(store, { signal }))?.contents;
  const other = await lookForOther(store, { signal });
  return other?.kind === 'lease' ? undefined : other;
}
