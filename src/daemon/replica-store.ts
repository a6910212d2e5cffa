/** The store of one replica as the daemon opens it: counted, and with all that has to be looked after while it is open. */
import { statSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { ReplicaSettings } from '../config/settings.ts';
import { type NotedError, noteError } from '../replica/replica-status.ts';
import type { Metrics } from '../server/metrics.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { LeavesTemporaries } from '../storage/temporaries.ts';
import type { ReloadableKeys } from './network-backends.ts';
import { openStore } from './stores.ts';

export interface OpenedStore {
  readonly store: ObjectStore;
  /** What can be asked for credentials anew. */
  readonly keys: readonly ReloadableKeys[];
  /** Where killed processes leave half-written files. */
  readonly temporaries: readonly LeavesTemporaries[];
  readonly trouble: Trouble;
}

/** Why calls to a destination are being tried again; whoever waits for them does not know it yet. */
export interface Trouble {
  present: NotedError | undefined;
}

export interface ReplicaStoreTools {
  readonly clock: Clock;
  /** Knows the replica's name. */
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * @param databasePath - what is stored in a directory belongs to whoever the database file belongs to
 * @throws what `openStore` throws
 */
export async function openReplicaStore(
  databasePath: string,
  settings: ReplicaSettings,
  { clock, logger, metrics }: ReplicaStoreTools,
): Promise<OpenedStore> {
  const { type } = settings.destination;
  const keys: ReloadableKeys[] = [];
  const temporaries: LeavesTemporaries[] = [];
  const trouble: Trouble = { present: undefined };
  const store = await openStore(settings, {
    clock,
    logger,
    file: ownershipOf(databasePath),
    meter: {
      operation: (kind, count) => {
        for (let n = 0; n < count; n++) metrics.addOperation(type, kind);
      },
      bytes: (kind, count) => metrics.addOperationBytes(type, kind, count),
    },
    onKeys: (one) => keys.push(one),
    onTemporaries: (one) => temporaries.push(one),
    onTrouble: (error, atMs) => {
      trouble.present = error === undefined ? undefined : { ...noteError(error, atMs), isOver: false };
    },
  });
  return { store, keys, temporaries, trouble };
}

/** What stored files inherit from the database file; nothing when it is not there yet. */
function ownershipOf(path: string): { fileMode?: number; dirMode?: number; uid?: number; gid?: number } {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile()) return {};
  const fileMode = stats.mode & 0o666;
  // Whoever may read a file may enter its directory.
  return { fileMode, dirMode: fileMode | 0o700 | ((fileMode & 0o444) >> 2), uid: stats.uid, gid: stats.gid };
}
