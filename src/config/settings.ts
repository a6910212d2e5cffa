/**
 * The settled configuration: what the rest of the program works with. Every default is filled in, every path is absolute,
 * every destination is complete. Durations are milliseconds, sizes are bytes.
 */
import type { Settled } from './key-spec.ts';

export interface Config extends Omit<Settled<'root'>, 'accessKeyId' | 'secretAccessKey'> {
  readonly databases: readonly DatabaseSettings[];
}

export type LoggingSettings = Settled<'logging'>;

export interface DatabaseSettings extends Omit<Settled<'database'>, 'metaPath' | 'replica'> {
  /** Absolute directory of the local state. */
  readonly metaPath: string;
  readonly replicas: readonly ReplicaSettings[];
}

type ReplicaTimers = Pick<
  Settled<'replica'>,
  | 'retentionMs'
  | 'retentionCheckIntervalMs'
  | 'syncIntervalMs'
  | 'snapshotIntervalMs'
  | 'validationIntervalMs'
>;

export interface ReplicaSettings extends ReplicaTimers {
  /** Unique within its database. */
  readonly name: string;
  /** Undefined when nothing is to be encrypted. */
  readonly age: AgeSettings | undefined;
  readonly destination: Destination;
}

export interface AgeSettings {
  readonly identities: readonly string[];
  readonly recipients: readonly string[];
}

/** Where a replica's objects lie. `path` is the prefix inside a bucket, or the directory of a file or sftp replica. */
export type Destination = FileDestination | S3Destination | GcsDestination | AbsDestination | SftpDestination;

export interface FileDestination {
  readonly type: 'file';
  /** Absolute directory. */
  readonly path: string;
}

export interface S3Destination {
  readonly type: 's3';
  readonly bucket: string;
  readonly path: string;
  /** Undefined: to be looked up. */
  readonly region: string | undefined;
  /** URL of the service; undefined for AWS itself. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  readonly skipVerify: boolean;
  /** Both or neither; without them the usual AWS sources are asked. */
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
}

export interface GcsDestination {
  readonly type: 'gcs';
  readonly bucket: string;
  readonly path: string;
}

export interface AbsDestination {
  readonly type: 'abs';
  readonly accountName: string | undefined;
  readonly accountKey: string | undefined;
  readonly bucket: string;
  readonly path: string;
  readonly endpoint: string | undefined;
}

export interface SftpDestination {
  readonly type: 'sftp';
  /** `host` or `host:port`. */
  readonly host: string;
  readonly user: string;
  readonly password: string | undefined;
  /** Directory on the server. */
  readonly path: string;
  readonly keyPath: string | undefined;
}
