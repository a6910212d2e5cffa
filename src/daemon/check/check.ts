/** What will go wrong before it does: configuration, databases, destinations, one finding after another. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { mayDecrypt } from '../../config/age-section.ts';
import { formatReplicaUrl } from '../../config/replica-url.ts';
import type { DatabaseSettings, ReplicaSettings } from '../../config/settings.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { checkDatabase } from './check-database.ts';
import { checkDestination } from './check-destination.ts';
import { failureOf, type Finding } from './finding.ts';

export interface CheckOptions {
  /** Empty when a replica URL is checked. */
  readonly databases: readonly DatabaseSettings[];
  readonly replicas: readonly ReplicaSettings[];
  /** Opens a destination for one attempt at each step: a person wants to see the first answer, not the tenth. */
  readonly openStore: (replica: ReplicaSettings) => Promise<ObjectStore>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Looks at everything in turn; nothing that exists is touched. @throws only the signal's reason */
export async function* check(options: CheckOptions): AsyncGenerator<Finding, void, undefined> {
  for (const database of options.databases) yield* checkDatabase(database);
  for (const replica of options.replicas) yield* checkReplica(replica, options);
}

async function* checkReplica(
  replica: ReplicaSettings,
  { openStore, clock, signal }: CheckOptions,
): AsyncGenerator<Finding, void, undefined> {
  const subject = formatReplicaUrl(replica.destination);
  let store: ObjectStore;
  try {
    store = await openStore(replica);
  } catch (error) {
    yield { subject, step: 'open', ...failureOf(error) };
    return;
  }
  try {
    yield* checkDestination({ store, subject, clock, signal, readable: canRead(replica) });
  } finally {
    await store.close();
  }
}

function canRead({ age }: ReplicaSettings): boolean {
  return age === undefined || mayDecrypt(age);
}
