/**
 * The settled configuration: what the rest of the program works with. Every default is filled in, every path is absolute,
 * every destination is complete. Durations are milliseconds, sizes are bytes.
 */
import type { Settled } from './key-spec.ts';

export interface Config extends Pick<
  Settled<'root'>,
  'addr' | 'exec' | 'shutdownTimeoutMs' | 'socket' | 'logging'
> {
  readonly databases: readonly DatabaseSettings[];
}

/** The path is absolute, or undefined for the default; `permissions` are bits. */
export type SocketSettings = Settled<'socket'>;

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
  | 'stallAfterMs'
  | 'onStall'
>;

export interface ReplicaSettings extends ReplicaTimers {
  /** Unique within its database. */
  readonly name: string;
  /** Undefined when nothing is to be encrypted. */
  readonly age: AgeSettings | undefined;
  readonly destination: Destination;
  readonly lease: LeaseSettings;
  readonly verify: VerifySettings;
}

/** Keys as they are written; the files have absolute paths and are not read yet. */
export interface AgeSettings {
  readonly identities: readonly string[];
  readonly identitiesFile: readonly string[];
  readonly recipients: readonly string[];
  readonly recipientsFile: readonly string[];
  /** At most one of these two. */
  readonly passphrase: string | undefined;
  readonly passphraseFile: string | undefined;
}

export type LeaseSettings = Settled<'lease'>;

/** `temporaryPath` is absolute. */
export type VerifySettings = Settled<'verify'>;

/** Where a replica's objects lie. `path` is the prefix inside a bucket, or the directory of a file or sftp replica. */
export type Destination = FileDestination | NetworkDestination;
export type NetworkDestination = S3Destination | GcsDestination | AbsDestination | SftpDestination;

export interface FileDestination {
  readonly type: 'file';
  /** Absolute directory. */
  readonly path: string;
  /** A `file://` URL that looks like a relative one, which there are none of. */
  readonly writtenAs?: string;
}

/** How the way to a destination behind a network is used. */
export type NetworkSettings = Pick<
  Settled<'replica'>,
  'requestTimeoutMs' | 'maxConcurrentRequests' | 'bandwidthLimitBytes' | 'onAuthFailure'
>;

/** A key for S3, its secret and its token, each as text or as a file. */
export type StaticKeyName =
  | 'accessKeyId'
  | 'accessKeyIdFile'
  | 'secretAccessKey'
  | 'secretAccessKeyFile'
  | 'sessionToken'
  | 'sessionTokenFile';

/**
 * The S3 keys of a replica. Either both of a key and its secret are known (as text or as a file, never both of one), or
 * `credentials` says where keys come from, or `profile` does, or the usual AWS sources are asked.
 */
export type S3Keys = Pick<Settled<'replica'>, StaticKeyName | 'profile'> & {
  readonly credentials: CredentialsSection | undefined;
};

/** A `credentials` section; paths in it are absolute. */
export type CredentialsSection = Settled<'credentials'>;

type S3Options = Pick<
  Settled<'replica'>,
  | 'skipVerify'
  | 'storageClass'
  | 'sseKmsKeyId'
  | 'sseCustomerKeyPath'
  | 'partSizeBytes'
  | 'concurrency'
  | 'signPayload'
  | 'requireContentMd5'
>;

/** Of destinations with TLS. */
interface Authority {
  /** Absolute path of a file with certificates of authorities. */
  readonly caFile: string | undefined;
}

export interface S3Destination extends NetworkSettings, Authority, S3Keys, S3Options {
  readonly type: 's3';
  /** Or the ARN of an access point. */
  readonly bucket: string;
  readonly path: string;
  /** Undefined: to be looked up. */
  readonly region: string | undefined;
  /** URL of the service; undefined for AWS itself. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Present when there is a key for it. */
  readonly sseCustomerAlgorithm: 'AES256' | undefined;
  /** 32 bytes in base64, also when it came from the file. */
  readonly sseCustomerKey: string | undefined;
}

export interface GcsDestination extends NetworkSettings, Authority {
  readonly type: 'gcs';
  readonly bucket: string;
  readonly path: string;
  readonly endpoint: string | undefined;
  /** Absolute. */
  readonly credentialsFile: string | undefined;
}

/** Secrets are present also when they came from the file that the property beside them names. */
export interface AbsDestination extends NetworkSettings, Authority {
  readonly type: 'abs';
  readonly accountName: string | undefined;
  readonly accountKey: string | undefined;
  readonly accountKeyFile: string | undefined;
  /** Without a `?` before it. */
  readonly sasToken: string | undefined;
  readonly sasTokenFile: string | undefined;
  readonly bucket: string;
  readonly path: string;
  readonly endpoint: string | undefined;
}

/** Secrets are present also when they came from the file that the property beside them names. */
export interface SftpDestination extends NetworkSettings {
  readonly type: 'sftp';
  /** `host` or `host:port`. */
  readonly host: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly passwordFile: string | undefined;
  /** Directory on the server. */
  readonly path: string;
  /** Absolute. */
  readonly keyPath: string | undefined;
  readonly keyPassphrase: string | undefined;
  readonly keyPassphraseFile: string | undefined;
  /** Socket of an ssh-agent. */
  readonly agent: string | undefined;
  /** Public keys or fingerprints, of which the server must show one; empty: `knownHosts` decides. */
  readonly hostKeys: readonly string[];
  /** Undefined: the user's and the system's. */
  readonly knownHosts: string | undefined;
  readonly insecureHostKey: boolean;
}
