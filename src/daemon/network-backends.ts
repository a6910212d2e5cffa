/** Each kind of destination behind a network, loaded when it is opened. */
import type { Clock } from '../base/clock.ts';
import { trustAuthorities } from '../base/authorities.ts';
import { RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { credentialSettings } from '../config/credential-settings.ts';
import type {
  AbsDestination,
  GcsDestination,
  NetworkDestination,
  S3Destination,
  SftpDestination,
} from '../config/settings.ts';
import type { KeyStatus } from '../credentials/keeper.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import type { BackendTools } from '../storage/backend.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { absOptions, authorityFiles, gcsOptions, s3Options, sftpOptions } from './backend-options.ts';

/** Credentials of an open destination. */
export interface ReloadableKeys {
  /** Their source, when they came and when they expire; never a secret. */
  readonly status: KeyStatus;
  /** Keys that are valid now. @throws RivuletError `CREDENTIALS_FAILED` */
  current(signal?: AbortSignal): Promise<AwsKeys>;
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

/** @throws RivuletError `CONFIG_INVALID` for options that contradict the service, and for a `ca-file` that is none */
export async function networkBackend(
  destination: NetworkDestination,
  parts: BackendParts,
): Promise<NetworkBackend> {
  if (destination.type !== 'sftp') trustAuthorities(authorityFiles(destination, process.env), process.env);
  if (destination.type === 's3') return s3Backend(destination, parts);
  if (destination.type === 'sftp') return sftpBackend(destination);
  return destination.type === 'abs' ? absBackend(destination) : gcsBackend(destination);
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
  return {
    make: (tools) => {
      try {
        return new SftpObjectStore(sftpOptions(destination), tools);
      } catch (error) {
        // The shape was looked at when the file was read; what is inside a key, the backend knows.
        throw error instanceof RangeError
          ? new RivuletError('CONFIG_INVALID', error.message, { cause: error })
          : error;
      }
    },
  };
}

async function absBackend(destination: AbsDestination): Promise<NetworkBackend> {
  const { AbsObjectStore } = await import('../storage/abs/abs-object-store.ts');
  const options = absOptions(destination);
  return { make: (tools) => new AbsObjectStore(options, tools) };
}

async function gcsBackend(destination: GcsDestination): Promise<NetworkBackend> {
  const { GcsObjectStore } = await import('../storage/gcs/gcs-object-store.ts');
  const options = gcsOptions(destination);
  return { make: (tools) => new GcsObjectStore(options, tools) };
}
