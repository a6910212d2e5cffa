/** From a replica's settings to the store that holds its objects. A backend loads when it is first used. */
import { assertBackendAvailable } from '../config/availability.ts';
import type { ReplicaSettings } from '../config/settings.ts';
import type { FileObjectStoreOptions } from '../storage/file/file-object-store.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/**
 * Opens the destination of a replica; nothing is read or written yet. The caller closes it. `ownership` is for what a
 * file replica stores. Throws `UNSUPPORTED` for a type of destination that this version does not have.
 */
export async function openStore(
  replica: Pick<ReplicaSettings, 'destination'>,
  ownership: FileObjectStoreOptions = {},
): Promise<ObjectStore> {
  const { destination } = replica;
  assertBackendAvailable(destination);
  if (destination.type !== 'file') throw new TypeError(`no backend for ${destination.type}`);
  const { FileObjectStore } = await import('../storage/file/file-object-store.ts');
  return new FileObjectStore(destination.path, ownership);
}
