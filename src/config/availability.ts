import { RivuletError } from '../base/errors.ts';
import { formatReplicaUrl } from './replica-url.ts';
import type { Config, Destination, ReplicaSettings } from './settings.ts';

/** The types of destination that this version can use. The others are understood, so that a file can be checked. */
const AVAILABLE_TYPES: ReadonlySet<Destination['type']> = new Set(['file', 'sftp', 'abs']);

/**
 * Refuses a destination that this version cannot use.
 *
 * @throws RivuletError UNSUPPORTED that names the type.
 */
export function assertBackendAvailable(destination: Destination): void {
  if (AVAILABLE_TYPES.has(destination.type)) return;
  const url = formatReplicaUrl(destination);
  const message = `replicas of type ${destination.type} are not available in this version: ${url}`;
  throw new RivuletError('UNSUPPORTED', message, {
    hint: 'Use a file replica (file:///absolute/path), for example on a mounted volume.',
    details: { type: destination.type, url },
  });
}

/**
 * Refuses a replica that is to be encrypted, because this version cannot: storing it in the clear although encryption is
 * configured would be worse than not storing it.
 *
 * @throws RivuletError UNSUPPORTED.
 */
export function assertEncryptionAvailable(replica: Pick<ReplicaSettings, 'name' | 'age'>): void {
  if (replica.age === undefined) return;
  const message = `the replica \`${replica.name}\` has \`age\` keys, but encryption is not available in this version`;
  throw new RivuletError('UNSUPPORTED', message, {
    hint: 'Nothing was stored. Remove the `age` section to replicate without encryption.',
    details: { replica: replica.name },
  });
}

/** Refuses a configuration of which any replica cannot be used. @throws RivuletError UNSUPPORTED */
export function assertConfigAvailable(config: Pick<Config, 'databases'>): void {
  for (const replica of config.databases.flatMap(({ replicas }) => replicas)) {
    assertBackendAvailable(replica.destination);
    assertEncryptionAvailable(replica);
  }
}
