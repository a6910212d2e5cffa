/** From the `lease` section of a replica to its lease. */
import type { Clock } from '../base/clock.ts';
import type { Files } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { readVersion } from '../base/program-version.ts';
import type { DatabaseSettings, ReplicaSettings } from '../config/settings.ts';
import type { Lease } from '../replica/lease/lease.ts';
import { openLease } from '../replica/lease/open-lease.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { unconditionalStore } from '../storage/unconditional.ts';

/** Nothing is read or written at the destination yet. @returns undefined when the configuration says `mode: off` */
export function leaseOf(
  database: Pick<DatabaseSettings, 'path' | 'metaPath'>,
  replica: Pick<ReplicaSettings, 'name' | 'lease'>,
  tools: {
    readonly store: ObjectStore;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Of the state directory. */
    readonly files: Files;
  },
): Lease | undefined {
  const { mode, durationMs, whenHeld, renew } = replica.lease;
  if (mode === 'off') return undefined;
  return openLease(
    { mode, durationMs, whenHeld, renew },
    {
      ...tools,
      metaPath: database.metaPath,
      name: replica.name,
      database: database.path,
      program: `rivulet ${readVersion()}`,
    },
  );
}

/** The store as a replica writes to it. Without a lease nobody tries whether a server knows what it is said to know. */
export function writtenTo(store: ObjectStore, lease: Lease | undefined): ObjectStore {
  return lease === undefined && store.conditions === 'compare-and-swap' ? unconditionalStore(store) : store;
}
