/** From the settings of a destination to what its backend is told. Pure; secrets in files become ways to read them again. */
import type { AuthorityFile } from '../base/authorities.ts';
import type {
  AbsDestination,
  GcsDestination,
  NetworkSettings,
  S3Destination,
  SftpDestination,
} from '../config/settings.ts';
import { readSecretFile } from '../config/secret-file.ts';
import type { AbsObjectStoreOptions } from '../storage/abs/abs-object-store.ts';
import type { NetworkStoreOptions } from '../storage/network-store.ts';
import type { S3StoreOptions } from '../storage/s3/options.ts';
import { parseHostAndPort, type SftpStoreOptions } from '../storage/sftp/options.ts';

type Limits = Pick<
  NetworkStoreOptions,
  'limits' | 'answerMs' | 'uploadBytesPerSecond' | 'downloadBytesPerSecond'
>;

/** What the wrappers around every backend are told. */
export function networkLimits(settings: NetworkSettings): Limits {
  const { maxConcurrentRequests, requestTimeoutMs, bandwidthLimitBytes } = settings;
  const rate = bandwidthLimitBytes > 0 ? bandwidthLimitBytes : undefined;
  return {
    // Long calls take some of the places only, so that short ones, the lease among them, go on beside them.
    limits: {
      smallCalls: maxConcurrentRequests,
      streams: Math.ceil(maxConcurrentRequests / 2),
      listings: Math.ceil(maxConcurrentRequests / 4),
    },
    answerMs: requestTimeoutMs,
    uploadBytesPerSecond: rate,
    downloadBytesPerSecond: rate,
  };
}

/** As the tools of AWS name the bundle. */
const BUNDLE_VARIABLE = 'AWS_CA_BUNDLE';

/** Whom a destination with TLS trusts beside the system's authorities. */
export function authorityFiles(
  { type, caFile }: S3Destination | GcsDestination | AbsDestination,
  environment: Readonly<Record<string, string | undefined>>,
): readonly AuthorityFile[] {
  const bundle = type === 's3' ? environment[BUNDLE_VARIABLE] : undefined;
  return [
    ...(bundle ? [{ path: bundle, what: BUNDLE_VARIABLE }] : []),
    ...(caFile === undefined ? [] : [{ path: caFile, what: 'ca-file' }]),
  ];
}

export function s3Options(destination: S3Destination): Omit<S3StoreOptions, 'keys' | 'tools'> {
  return {
    bucket: destination.bucket,
    path: destination.path,
    region: destination.region,
    endpoint: destination.endpoint,
    forcePathStyle: destination.forcePathStyle,
    skipVerify: destination.skipVerify,
    storageClass: destination.storageClass,
    sseKmsKeyId: destination.sseKmsKeyId,
    sseCustomerAlgorithm: destination.sseCustomerAlgorithm,
    sseCustomerKey: destination.sseCustomerKey,
    partSizeBytes: destination.partSizeBytes,
    concurrency: destination.concurrency,
    signPayload: destination.signPayload,
    requireContentMd5: destination.requireContentMd5,
    idleTimeoutMs: destination.requestTimeoutMs,
  };
}

export function absOptions(destination: AbsDestination): AbsObjectStoreOptions {
  const { accountName, bucket, path, endpoint } = destination;
  return {
    accountName,
    container: bucket,
    path,
    endpoint,
    sasToken: secretOf(destination.sasToken, destination.sasTokenFile, (text) => text.replace(/^\?/, '')),
    accountKey: secretOf(destination.accountKey, destination.accountKeyFile),
  };
}

/** What `GcsObjectStore` is told. */
export interface GcsOptions {
  readonly bucket: string;
  readonly path: string;
  readonly endpoint: string | undefined;
  readonly credentialsFile: string | undefined;
}

export function gcsOptions(destination: GcsDestination): GcsOptions {
  const { bucket, path, endpoint, credentialsFile } = destination;
  return { bucket, path, endpoint, credentialsFile };
}

export function sftpOptions(destination: SftpDestination): SftpStoreOptions {
  const { user, path, keyPath, agent, hostKeys, knownHosts, insecureHostKey, requestTimeoutMs } = destination;
  return {
    ...parseHostAndPort(destination.host),
    user,
    path,
    password: secretOf(destination.password, destination.passwordFile),
    keyPath,
    passphrase: secretOf(destination.keyPassphrase, destination.keyPassphraseFile),
    agentSocket: agent,
    hostKeys,
    knownHostsPath: knownHosts,
    insecure: insecureHostKey,
    timeouts: requestTimeoutMs === undefined ? {} : { requestMs: requestTimeoutMs },
  };
}

type Secret = string | (() => Promise<string>);

/** A secret from a file is read again whenever it is needed, so one that was rotated is used without a restart. */
function secretOf(
  text: string | undefined,
  file: string | undefined,
  trim: (text: string) => string = (one) => one,
): Secret | undefined {
  if (file === undefined) return text;
  return async () => {
    const content = readSecretFile(file);
    if ('problem' in content) throw new Error(`${file} ${content.problem}`);
    return trim(content.value);
  };
}
