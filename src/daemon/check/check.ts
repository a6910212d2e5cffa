/** What will go wrong before it does: configuration, databases, destinations, one finding after another. */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { mayDecrypt } from '../../config/age-section.ts';
import { formatReplicaUrl } from '../../config/replica-url.ts';
import type { DatabaseSettings, ReplicaSettings } from '../../config/settings.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { ReloadableKeys } from '../network-backends.ts';
import { placeWarnings } from '../place-warnings.ts';
import { trustWarnings } from '../trust-warnings.ts';
import { checkCredentials } from './check-credentials.ts';
import { checkDatabase } from './check-database.ts';
import { checkDestination } from './check-destination.ts';
import { failureOf, type Finding } from './finding.ts';

export interface CheckOptions {
  /** Empty when a replica URL is checked. */
  readonly databases: readonly DatabaseSettings[];
  readonly replicas: readonly ReplicaSettings[];
  /** The file that both come from, when there is one. */
  readonly configFile?: string | undefined;
  /** Opens a destination for a few attempts at each step: a person wants an answer in seconds. */
  readonly openStore: (
    replica: ReplicaSettings,
    onKeys: (keys: ReloadableKeys) => void,
  ) => Promise<ObjectStore>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Looks at everything in turn; nothing that exists is touched. @throws only the signal's reason */
export async function* check(options: CheckOptions): AsyncGenerator<Finding, void, undefined> {
  for (const database of options.databases) {
    yield* checkDatabase(database);
    for (const { subject, step, message, hint } of placeWarnings(database)) {
      const verdict = step === 'replicas' ? 'failed' : 'warning';
      yield { subject, step, verdict, detail: message, hint };
    }
  }
  for (const { subject, message, hint } of trustWarnings(options.replicas, options.configFile))
    yield { subject, step: 'trust', verdict: 'warning', detail: message, hint };
  for (const replica of options.replicas) yield* checkReplica(replica, options);
}

async function* checkReplica(
  replica: ReplicaSettings,
  options: CheckOptions,
): AsyncGenerator<Finding, void, undefined> {
  const subject = formatReplicaUrl(replica.destination);
  let store: ObjectStore;
  let keys: ReloadableKeys | undefined;
  try {
    store = await options.openStore(replica, (one) => (keys = one));
  } catch (error) {
    yield { subject, step: 'open', ...failureOf(error) };
    return;
  }
  try {
    for await (const finding of inTurn(replica, { ...options, store, keys, subject })) {
      yield finding;
      if (isLockedOut(finding)) return;
    }
  } finally {
    await store.close();
  }
}

interface OpenedReplica extends Pick<CheckOptions, 'clock' | 'signal'> {
  readonly store: ObjectStore;
  readonly keys: ReloadableKeys | undefined;
  readonly subject: string;
}

async function* inTurn(
  replica: ReplicaSettings,
  { store, keys, subject, clock, signal }: OpenedReplica,
): AsyncGenerator<Finding, void, undefined> {
  const { destination } = replica;
  if (destination.type !== 'file') {
    const outcome = await checkCredentials({ destination, keys, clock, signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      return failureOf(error);
    });
    yield { subject, step: 'credentials', ...outcome };
  }
  yield* checkDestination({ store, subject, clock, signal, readable: canRead(replica) });
}

const LOCKED_OUT: ReadonlySet<string> = new Set(['CREDENTIALS_FAILED', 'HOST_KEY_UNVERIFIED']);

/** Then nothing more is tried: each of the other steps would say the same. */
function isLockedOut({ step, verdict, code = '' }: Finding): boolean {
  return verdict === 'failed' && (step === 'credentials' || LOCKED_OUT.has(code));
}

function canRead({ age }: ReplicaSettings): boolean {
  return age === undefined || mayDecrypt(age);
}
