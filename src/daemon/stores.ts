/** From a replica's settings to the store that holds its objects. A backend loads when it is first used. */
import { type Clock, systemClock } from '../base/clock.ts';
import { type Logger, silentLogger } from '../base/log.ts';
import type { Destination, NetworkDestination, ReplicaSettings } from '../config/settings.ts';
import { boundedStore } from '../storage/bounded-body.ts';
import { closingStore } from '../storage/closing.ts';
import type { FileObjectStoreOptions } from '../storage/file/file-object-store.ts';
import { meteredStore, type StoreMeter } from '../storage/metered.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { RetryPolicy } from '../storage/retry.ts';
import { type LeavesTemporaries, leavesTemporaries } from '../storage/temporaries.ts';
import type { TroubleListener } from '../storage/troubles.ts';
import { networkLimits } from './backend-options.ts';
import { withEncryption } from './encryption.ts';
import { networkBackend, type ReloadableKeys } from './network-backends.ts';

/** Long enough for an agent of the machine that is being restarted. */
const KEYS_DEADLINE_MS = 8_000;

/** Where a few attempts are enough, they are not to take minutes because each of them hangs. */
const FEW_ATTEMPTS_DEADLINE_MS = 30_000;

/** What a command or the daemon gives to the stores that it opens; all of it may be left out. */
export interface StoreTools {
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly meter?: StoreMeter;
  /** For what a file replica stores. */
  readonly file?: FileObjectStoreOptions;
  /** Attempts of a call, the first one included; as many as help when absent. */
  readonly attemptsMax?: number;
  /** Somebody waits for the outcome: a want of credentials is told within seconds instead of tried away. */
  readonly personWaits?: boolean;
  /** Told at once why a call is tried again, and `undefined` when none is any more. */
  readonly onTrouble?: TroubleListener;
  /** Told of credentials that can be asked for anew. The store closes them. */
  readonly onKeys?: (keys: ReloadableKeys) => void;
  /** Told of a backend in which killed processes leave files behind; it is usable until the store is closed. */
  readonly onTemporaries?: (store: LeavesTemporaries) => void;
  /** Nothing but names is looked at, so keys of encryption are not asked for. */
  readonly namesOnly?: boolean;
}

/**
 * Opens the destination of a replica; nothing is read or written yet. The caller closes it.
 *
 * @throws RivuletError `CONFIG_INVALID` for settings that contradict the service, and
 *   `AGE_INVALID` or `AGE_KEY_WRONG` for keys that cannot be used
 */
export async function openStore(
  replica: Pick<ReplicaSettings, 'destination' | 'age'>,
  tools: StoreTools = {},
): Promise<ObjectStore> {
  const plain = await openPlainStore(replica.destination, tools);
  if (tools.namesOnly === true) return plain;
  try {
    return await withEncryption(plain, replica, tools.logger);
  } catch (error) {
    await plain.close();
    throw error;
  }
}

async function openPlainStore(destination: Destination, tools: StoreTools): Promise<ObjectStore> {
  if (destination.type !== 'file') return openNetworkStore(destination, tools);
  const { FileObjectStore } = await import('../storage/file/file-object-store.ts');
  const store = new FileObjectStore(destination.path, tools.file);
  tools.onTemporaries?.(store);
  const bounded = boundedStore(store);
  return tools.meter === undefined ? bounded : meteredStore(bounded, tools.meter);
}

async function openNetworkStore(destination: NetworkDestination, tools: StoreTools): Promise<ObjectStore> {
  const { clock = systemClock, logger = silentLogger, meter } = tools;
  const { networkStore } = await import('../storage/network-store.ts');
  const backend = await networkBackend(destination, { clock, logger });
  if (backend.keys !== undefined) tools.onKeys?.(backend.keys);
  const make: typeof backend.make = (backendTools) => {
    const made = backend.make(backendTools);
    if (leavesTemporaries(made)) tools.onTemporaries?.(made);
    return made;
  };
  const store = networkStore(make, {
    clock,
    logger,
    meter,
    retry: retryPolicyOf(tools),
    onTrouble: tools.onTrouble,
    ...networkLimits(destination),
    // One connection carries everything: several ranges at once are no faster.
    ...(destination.type === 'sftp' ? { ranges: false } : {}),
  });
  return backend.keys === undefined ? store : closingStore(store, backend.keys);
}

function retryPolicyOf({ attemptsMax, personWaits = false }: StoreTools): Partial<RetryPolicy> {
  return {
    ...(attemptsMax === undefined ? {} : { attemptsMax, deadlineMs: FEW_ATTEMPTS_DEADLINE_MS }),
    ...(personWaits ? { keysDeadlineMs: KEYS_DEADLINE_MS } : {}),
  };
}
