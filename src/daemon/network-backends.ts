/** Each kind of destination behind a network, loaded when it is opened. */
import type { Clock } from '../base/clock.ts';
import { RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { credentialSettings } from '../config/credential-settings.ts';
import type {
  AbsDestination,
  NetworkDestination,
  S3Destination,
  SftpDestination,
} from '../config/settings.ts';
import type { BackendTools } from '../storage/backend.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { absOptions, s3Options, sftpOptions } from './backend-options.ts';

/** Credentials of an open destination. */
export interface ReloadableKeys {
  /** Asks their source anew; what is at hand stays in use meanwhile. Never rejects for what a source can do. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

export interface NetworkBackend {
  readonly make: (tools: BackendTools) => ObjectStore;
  /** Undefined where the backend reads its credentials by itself whenever it needs them. */
  readonly keys?: ReloadableKeys;
}

export interface BackendParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** @throws RivuletError `UNSUPPORTED`, `PACKAGE_MISSING` */
export async function networkBackend(
  destination: NetworkDestination,
  parts: BackendParts,
): Promise<NetworkBackend> {
  switch (destination.type) {
    case 's3':
      return s3Backend(destination, parts);
    case 'sftp':
      return sftpBackend(destination);
    case 'abs':
      return absBackend(destination);
    default:
      throw new RivuletError('UNSUPPORTED', `there is no backend for ${destination.type}`);
  }
}

async function s3Backend(destination: S3Destination, parts: BackendParts): Promise<NetworkBackend> {
  const { openKeySource } = await import('../credentials/open.ts');
  const { S3ObjectStore } = await import('../storage/s3/s3-object-store.ts');
  const keys = openKeySource(credentialSettings(destination), parts);
  const options = s3Options(destination);
  return { make: (tools) => new S3ObjectStore({ ...options, keys, tools }), keys };
}

async function sftpBackend(destination: SftpDestination): Promise<NetworkBackend> {
  const { SftpObjectStore } = await import('../storage/sftp/sftp-object-store.ts');
  const options = sftpOptions(destination);
  return { make: (tools) => new SftpObjectStore(options, tools) };
}

async function absBackend(destination: AbsDestination): Promise<NetworkBackend> {
  const { AbsObjectStore } = await import('../storage/abs/abs-object-store.ts');
  const options = absOptions(destination);
  return { make: (tools) => new AbsObjectStore(options, tools) };
}
