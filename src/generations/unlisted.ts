/** What was stored and a listing lacks: some listings lag behind, some are capped or cached on the way. */
import { isThere } from '../storage/is-there.ts';
import type { CallOptions, ObjectStore } from '../storage/object-store.ts';
import type { GenerationInventory } from './inventory.ts';
import { comparePositions, type Generation, type Position, segmentKey, snapshotKey } from './names.ts';

/** The newest objects of a generation that are known to have been stored. */
export interface NewestStored {
  readonly generation: Generation;
  readonly snapshotIndex: number | undefined;
  /** Where the last segment begins. */
  readonly lastSegment: Position | undefined;
}

/** Keys of those that a listing lacks: they are gone, or it is behind. Pure. */
function unlistedKeys(
  held: Pick<GenerationInventory, 'snapshots' | 'segments'> | undefined,
  { generation, snapshotIndex, lastSegment }: NewestStored,
): readonly string[] {
  const hasSnapshot =
    snapshotIndex === undefined || held?.snapshots.some(({ index }) => index === snapshotIndex) === true;
  const hasSegment =
    lastSegment === undefined ||
    held?.segments.findLast((one) => comparePositions(one, lastSegment) === 0) !== undefined;
  return [
    ...(hasSnapshot ? [] : [snapshotKey(generation, snapshotIndex)]),
    ...(hasSegment ? [] : [segmentKey(generation, lastSegment)]),
  ];
}

/**
 * @param held - the generation as a listing shows it
 * @returns the key of an object that is there by its name although the listing lacks it; undefined when there is none
 * @throws RivuletError as the store does; the signal's reason
 */
export async function findUnlisted(
  store: Pick<ObjectStore, 'read'>,
  held: GenerationInventory | undefined,
  newest: NewestStored,
  options: CallOptions,
): Promise<string | undefined> {
  for (const key of unlistedKeys(held, newest)) if (await isThere(store, key, options)) return key;
  return undefined;
}
