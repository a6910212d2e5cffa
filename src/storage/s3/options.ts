/** What the S3 backend is told, and what becomes of it together with what is known of the service. */
import { createHash } from 'node:crypto';
import { RivuletError } from '../../base/errors.ts';
import { isPrivateHost } from '../../base/private-host.ts';
import type { BackendTools } from '../backend.ts';
import type { Conditions } from '../object-store.ts';
import type { AwsKeySource } from '../aws-keys.ts';
import { presetFor } from './presets.ts';
import type { S3Preset } from './presets.ts';

export interface S3StoreOptions {
  readonly bucket: string;
  /** The folder inside the bucket, without a slash at either end; empty for the bucket itself. */
  readonly path?: string | undefined;
  /** Found out by asking when absent. */
  readonly region?: string | undefined;
  /** `https://host[:port]` of a service other than AWS. A host alone means https. */
  readonly endpoint?: string | undefined;
  /** `https://host/bucket/key` instead of `https://bucket.host/key`; the service's preset decides when absent. */
  readonly forcePathStyle?: boolean | undefined;
  /** Takes any certificate. */
  readonly skipVerify?: boolean | undefined;
  readonly keys: AwsKeySource;
  /** Such as `STANDARD_IA`; the bucket's default when absent. */
  readonly storageClass?: string | undefined;
  /** A KMS key for encryption by the service. */
  readonly sseKmsKeyId?: string | undefined;
  /** `AES256`, which is also meant when only the key is given. */
  readonly sseCustomerAlgorithm?: string | undefined;
  /** 32 bytes in base64, which the service encrypts with and forgets: without it nothing can be read again. */
  readonly sseCustomerKey?: string | undefined;
  /** Bytes of a part of an upload in parts; at least 5 MiB, 8 MiB when absent. */
  readonly partSizeBytes?: number | undefined;
  /** Parts of one upload under way at once; 4 when absent, or what the preset says. */
  readonly concurrency?: number | undefined;
  /** Signs a hash of each body (default), so that the service notices damage on the way even without TLS. */
  readonly signPayload?: boolean | undefined;
  /** Whether batches of removals carry a Content-MD5; the preset decides when absent. */
  readonly requireContentMd5?: boolean | undefined;
  /** How long to wait for a connection; 10 s when absent. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long a connection may make no progress in either direction; 30 s when absent. */
  readonly idleTimeoutMs?: number | undefined;
  readonly tools: BackendTools;
}

/** Nothing is left open here: what the requests are made of. */
export interface S3Profile {
  readonly preset: S3Preset;
  readonly bucket: string;
  /** Before each key: empty, or ends in a slash. */
  readonly prefix: string;
  /** `s3://bucket/path`, with the endpoint's host when it is not AWS. */
  readonly location: string;
  readonly endpoint: URL | undefined;
  readonly region: string | undefined;
  readonly forcePathStyle: boolean;
  readonly skipVerify: boolean;
  readonly conditions: Conditions;
  readonly partSizeBytes: number;
  readonly concurrency: number;
  readonly signPayload: boolean;
  readonly contentMd5: boolean;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Input fields of every request that makes an object. */
  readonly creation: Readonly<Record<string, string>>;
  /** Input fields of every request that touches an object's bytes, where the customer holds the key. */
  readonly customerKey: Readonly<Record<string, string>>;
}

const MIB = 1024 * 1024;
/** The service's own lower bound for every part but the last. */
export const PART_BYTES_MIN: number = 5 * MIB;
/** The service's own upper bound for a part. */
export const PART_BYTES_MAX: number = 5 * 1024 * MIB;
const DEFAULT_PART_BYTES = 8 * MIB;
const DEFAULT_CONCURRENCY = 4;
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_IDLE_TIMEOUT_MS = 30_000;

/** @throws RivuletError `CONFIG_INVALID` when the options contradict the service or each other */
export function resolveProfile(options: S3StoreOptions): S3Profile {
  const endpoint = options.endpoint === undefined ? undefined : parseEndpoint(options.endpoint);
  const preset = presetFor(endpoint);
  const path = (options.path ?? '').replaceAll(/^\/+|\/+$/g, '');
  const location = `s3://${options.bucket}${path === '' ? '' : `/${path}`}`;
  return {
    preset,
    bucket: options.bucket,
    prefix: path === '' ? '' : `${path}/`,
    location: endpoint === undefined ? location : `${location} at ${endpoint.host}`,
    endpoint,
    region: options.region ?? preset.regionOf?.(endpoint?.hostname ?? ''),
    forcePathStyle: options.forcePathStyle ?? preset.pathStyle,
    skipVerify: options.skipVerify ?? false,
    conditions: preset.conditions,
    partSizeBytes: partSizeOf(options.partSizeBytes ?? DEFAULT_PART_BYTES),
    concurrency: Math.max(1, options.concurrency ?? preset.concurrency ?? DEFAULT_CONCURRENCY),
    signPayload: options.signPayload ?? true,
    contentMd5: options.requireContentMd5 ?? preset.contentMd5,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    idleTimeoutMs: options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
    creation: creationOf(options),
    customerKey: customerKeyOf(options, endpoint),
  };
}

function parseEndpoint(text: string): URL {
  const url = URL.parse(/^https?:\/\//i.test(text) ? text : `https://${text}`);
  if (url === null || url.hostname === '')
    throw invalid(`the S3 endpoint "${text}" is not a URL`, 'Write it like https://s3.example.com:9000.');
  return url;
}

function partSizeOf(bytes: number): number {
  if (bytes >= PART_BYTES_MIN && bytes <= PART_BYTES_MAX) return bytes;
  throw invalid(
    `a part size of ${bytes} bytes is outside of what S3 takes`,
    'Choose a part size from 5 MiB to 5 GiB.',
  );
}

function creationOf({ storageClass, sseKmsKeyId }: S3StoreOptions): Record<string, string> {
  return {
    ...(storageClass === undefined ? {} : { StorageClass: storageClass }),
    ...(sseKmsKeyId === undefined ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: sseKmsKeyId }),
  };
}

function customerKeyOf(options: S3StoreOptions, endpoint: URL | undefined): Record<string, string> {
  const { sseCustomerKey: key, sseCustomerAlgorithm: algorithm = 'AES256', sseKmsKeyId } = options;
  if (key === undefined) return {};
  const bytes = Buffer.from(key, 'base64');
  if (algorithm !== 'AES256')
    throw invalid(`"${algorithm}" is no algorithm for a customer's key`, 'S3 knows AES256 only.');
  if (bytes.length !== 32 || bytes.toString('base64') !== key)
    throw invalid(
      `the customer's key for S3 is not 32 bytes in base64`,
      'Make one with: openssl rand -base64 32',
    );
  if (sseKmsKeyId !== undefined)
    throw invalid(`a KMS key and a customer's key for S3 exclude each other`, 'Give one of them.');
  if (endpoint?.protocol === 'http:' && !isPrivateHost(endpoint.hostname))
    throw invalid(
      `a customer's key would be sent in the clear to ${endpoint.host}`,
      'Use an https endpoint; plain http is taken for loopback and private networks only.',
    );
  return {
    SSECustomerAlgorithm: algorithm,
    SSECustomerKey: key,
    SSECustomerKeyMD5: createHash('md5').update(bytes).digest('base64'),
  };
}

function invalid(message: string, hint: string): RivuletError {
  return new RivuletError('CONFIG_INVALID', message, { hint });
}
