import { RivuletError } from '../base/errors.ts';
import { formatReplicaUrl } from './replica-url.ts';
import type { Config, Destination } from './settings.ts';

/** The types of destination that this version can use. The others are understood, so that a file can be checked. */
const AVAILABLE_TYPES: ReadonlySet<Destination['type']> = new Set(['file', 's3', 'sftp', 'abs']);

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

/** Refuses a configuration of which any replica cannot be used. @throws RivuletError UNSUPPORTED */
export function assertConfigAvailable(config: Pick<Config, 'databases'>): void {
  for (const { destination } of config.databases.flatMap(({ replicas }) => replicas)) {
    assertBackendAvailable(destination);
  }
}
