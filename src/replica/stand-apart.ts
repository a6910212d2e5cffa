/**
 * A restore takes the generation that was written last, by the store's times. Where these are whole seconds, an object of
 * ours and one that a program without leases (such as Litestream) stored just before could get the same time, and
 * either generation could be taken for the newer one. The first object of ours waits for the next second.
 */
import type { Clock } from '../base/clock.ts';
import { GENERATIONS_PREFIX, type Generation, generationPrefix, isGeneration } from '../generations/names.ts';
import { readEndings } from '../generations/superseded.ts';
import type { CallOptions, ObjectStore } from '../storage/object-store.ts';

const SECOND_MS = 1_000;
/** The clock here may run ahead of the store's by so much. */
const CLOCK_AHEAD_MS_MAX = 60 * 60 * 1_000;

export interface StandApartParts {
  readonly store: ObjectStore;
  readonly clock: Clock;
}

/**
 * Resolves when nothing that is stored from now on at `store` can share its second with an object of another generation.
 * Generations of which the lease says that they ended are no matter: a restore asks the lease.
 *
 * @throws RivuletError as the store does
 */
export async function standApart(
  { store, clock }: StandApartParts,
  own: Generation,
  options: CallOptions,
): Promise<void> {
  const folders = await store.listFolders(GENERATIONS_PREFIX, options);
  const others = folders.filter((name) => isGeneration(name) && name !== own);
  if (others.length === 0) return;
  const endings = await readEndings(store, options);
  for (const generation of others.filter((name) => !endings.has(name))) {
    for await (const { modifiedAt } of store.list(generationPrefix(generation), options)) {
      if (!mayBeOfThisSecond(modifiedAt.getTime(), clock)) continue;
      await clock.sleep(SECOND_MS, options.signal);
      return;
    }
  }
}

function mayBeOfThisSecond(timeMs: number, clock: Clock): boolean {
  return timeMs % SECOND_MS === 0 && timeMs > clock.now() - CLOCK_AHEAD_MS_MAX;
}
