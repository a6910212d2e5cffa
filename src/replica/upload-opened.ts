/** Uploads a snapshot as it is read where that can be, and a copy that was made aside where something was committed meanwhile. */
import type { Snapshot } from '../primary/snapshot-source.ts';
import { SnapshotOvertaken } from '../primary/still-snapshot.ts';

/**
 * @param mayBeLive - whether the destination takes a snapshot about as fast as a disk
 * @param open - opens a snapshot; with `true` one that is read from the live database
 * @param upload - uploads and closes it
 * @throws what both throw
 */
export async function uploadOpened<T>(
  mayBeLive: boolean,
  open: (isLive: boolean) => Promise<Snapshot>,
  upload: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  if (mayBeLive) {
    try {
      return await upload(await open(true));
    } catch (error) {
      if (!(error instanceof SnapshotOvertaken)) throw error;
    }
  }
  return upload(await open(false));
}
