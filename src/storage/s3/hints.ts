/** What to do about a failure of an S3 request. Each hint says what is known, and asks about what only the reader knows. */
import { networkFailureOf } from '../network-failure.ts';
import type { AwsKeys } from '../aws-keys.ts';
import { mayBeKeys, otherRegion } from './failure.ts';
import type { S3Failure } from './failure.ts';
import { spacedKey } from './key-text.ts';
import type { S3Profile } from './options.ts';

/** What else is known of a request that failed. */
export interface FailureMore {
  /** Wall-clock time. */
  readonly nowMs: number;
  /** Whether the keys that were used are past their expiry. */
  readonly areKeysExpired: boolean;
  /** The region that was asked. */
  readonly region: string;
  readonly profile: Pick<S3Profile, 'location' | 'endpoint' | 'bucket' | 'forcePathStyle' | 'region'>;
  /** Undefined where the failure was noticed later. */
  readonly keys: AwsKeys | undefined;
}

const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'Make the bucket first, or correct its name; Rivulet does not make buckets.',
  InvalidBucketName: 'Correct the name of the bucket.',
  AccessDenied:
    'Are these the right keys, and still valid (some services say no more)? Their policy must allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects.',
  AllAccessDisabled: 'The service has disabled this bucket: look at the account.',
  AccountProblem: 'The service has disabled this account: look at it in the console.',
  InvalidAccessKeyId: 'The access key does not exist there (any more): correct or replace it.',
  SignatureDoesNotMatch:
    'The secret key does not belong to the access key, or the endpoint changes requests on the way.',
  ExpiredToken: 'The temporary keys have expired, and their source has no newer ones.',
  InvalidToken: 'The session token does not belong to these keys.',
  SlowDown: 'The service asks for fewer requests; Rivulet slows down.',
  QuotaExceeded: 'The quota is used up: raise it, or shorten the retention.',
  XMinioStorageFull: 'The disks of the service are full: add space, or shorten the retention.',
  InsufficientStorage: 'The service is full: add space, or shorten the retention.',
  InvalidStorageClass: 'The service does not know this storage class.',
  EntityTooLarge: 'The service does not take objects or parts this large: choose another part size.',
  InvalidObjectState: 'The object lies in an archive class: restore it there first.',
};

const KMS_HINT =
  'The keys need kms:GenerateDataKey and kms:Decrypt on the KMS key, which must exist and be enabled.';

export function hintOf(failure: S3Failure, more: FailureMore): string | undefined {
  const { code, status } = failure;
  const misplaced = regionHint(failure, more) ?? styleHint(failure, more);
  if (misplaced !== undefined) return misplaced;
  if (code === 'RequestTimeTooSkewed') return skewHint(failure, more.nowMs);
  if (code.startsWith('KMS')) return KMS_HINT;
  if (more.areKeysExpired && mayBeKeys(failure)) return HINTS['ExpiredToken'];
  const address = addressHint(failure, more);
  if (address !== undefined) return address;
  if (failure.isForeign) return FOREIGN_HINT;
  if (status === 301) return 'The bucket is in another region, or behind another endpoint.';
  if (status === 404 && code !== 'NoSuchBucket')
    return 'Does this endpoint speak S3, and is the bucket right?';
  return networkHint(failure) ?? keysHint(failure, more) ?? ownHint(failure);
}

const FOREIGN_HINT =
  'Something on the way answers in its place (a proxy, a page to log in), or the endpoint does not speak S3.';

function regionHint(failure: S3Failure, { region, profile }: FailureMore): string | undefined {
  const right = otherRegion(failure, region);
  // Whoever answers names a region; whether it is the right one, the user knows.
  if (right !== undefined)
    return `The endpoint claims that the bucket is in the region "${right}", and was asked for "${region}": compare with the region of your bucket, and correct \`region\` or the endpoint.`;
  const isAboutRegion =
    failure.status !== undefined &&
    failure.status >= 400 &&
    failure.status < 500 &&
    (/region/i.test(failure.code) || /\bregion\b|credential scope/i.test(failure.message));
  if (!isAboutRegion && failure.code !== 'AuthorizationHeaderMalformed') return undefined;
  const given = profile.region === undefined ? `"${region}", which is assumed` : `"${region}"`;
  return `The service does not take the region ${given}: set \`region\` to the one of your bucket, as its provider names it.`;
}

/** Codes of services that want the bucket in the name of the host. */
const WANTS_HOST_STYLE = new Set(['PathStyleDomainForbidden', 'SecondLevelDomainForbidden']);

function styleHint({ code, status, message }: S3Failure, { profile }: FailureMore): string | undefined {
  if (status === undefined || status < 400 || status >= 500) return undefined;
  const isAboutStyle = /virtual[- ]?(?:hosted?[- ]?)?(?:styled?|domain)|path[- ]?style/i.test(message);
  if (!WANTS_HOST_STYLE.has(code) && !isAboutStyle) return undefined;
  return profile.forcePathStyle
    ? 'The service wants the bucket in the name of the host, not in the path: set `force-path-style: false`.'
    : 'The service wants the bucket in the path, not in the name of the host: set `force-path-style: true`.';
}

/** Where requests go whose configuration names no endpoint. */
export function awsHost(region: string): string {
  return `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

function addressHint(failure: S3Failure, more: FailureMore): string | undefined {
  const { endpoint, bucket } = more.profile;
  if (endpoint !== undefined) return endpointHint(failure, more, endpoint);
  // A bucket at AWS may have dots in its name, and so has every host.
  const isRefused = failure.status !== undefined && failure.status >= 300 && failure.status < 500;
  if (!isRefused || bucket.startsWith('arn:') || !looksLikeHost(bucket)) return undefined;
  return `"${bucket}" was taken as the name of a bucket at AWS (${awsHost(more.region)}). If it is the host of another service, name the bucket and give the address as \`endpoint\`: s3://BUCKET/path?endpoint=https://${bucket}${otherwise(failure)}`;
}

function otherwise(failure: S3Failure): string {
  const hint = ownHint(failure);
  return hint === undefined ? '' : `. Otherwise: ${hint}`;
}

function looksLikeHost(bucket: string): boolean {
  return bucket === 'localhost' || (/^[a-z0-9.-]+\.[a-z]{2,}$/i.test(bucket) && !bucket.includes('..'));
}

/** A bucket that is part of the endpoint already is named twice in each request. */
function endpointHint(
  failure: S3Failure,
  { profile: { bucket, forcePathStyle } }: FailureMore,
  endpoint: URL,
): string | undefined {
  const { status, code } = failure;
  const isRefused = status === undefined || (status >= 300 && status < 500);
  if (!isRefused) return undefined;
  const path = endpoint.pathname.replace(/\/+$/, '');
  const isInPath = path.endsWith(`/${bucket}`);
  const isInHost = endpoint.hostname.startsWith(`${bucket}.`);
  if (isInPath || isInHost) {
    const host = isInHost ? endpoint.host.slice(bucket.length + 1) : endpoint.host;
    const bare = `${endpoint.protocol}//${host}${isInPath ? path.slice(0, -bucket.length - 1) : path}`;
    return `The endpoint ${isInPath ? 'ends in' : 'begins with'} the name of the bucket, which is added to it in each request: give the address of the service alone, \`endpoint: ${bare}\`.`;
  }
  const network = networkFailureOf(failure.cause)?.systemCode ?? code;
  if (status !== undefined || forcePathStyle || !UNKNOWN_HOST.has(network)) return undefined;
  return `The bucket is named in the host (${bucket}.${endpoint.host}). If the service wants it in the path, set \`force-path-style: true\`.`;
}

const UNKNOWN_HOST = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'ERR_TLS_CERT_ALTNAME_INVALID']);

function networkHint(failure: S3Failure): string | undefined {
  const network = networkFailureOf(failure.cause);
  const isUntrusted = network !== undefined && !network.retry;
  if (isUntrusted) return `${network.hint} "skip-verify: true" takes any certificate, for tests.`;
  if (/before secure TLS/.test(failure.message))
    return 'Does the endpoint speak https on this port, or http?';
  return undefined;
}

/** What is known of the keys themselves, and of what else a signature holds. */
function keysHint(failure: S3Failure, { keys, profile, region }: FailureMore): string | undefined {
  if (!mayBeKeys(failure) || failure.status === undefined) return undefined;
  const spaced = keys && spacedKey(keys);
  if (spaced !== undefined)
    return `The ${spaced} begins or ends with a space, which may have been copied along.`;
  if (failure.code !== 'SignatureDoesNotMatch' || profile.region !== undefined) return undefined;
  return `${HINTS['SignatureDoesNotMatch'] ?? ''} Or the service insists on its own region: "${region}" was assumed, as no \`region\` is given.`;
}

function ownHint({ code, status, cause }: S3Failure): string | undefined {
  // The service chose the code.
  const own = Object.hasOwn(HINTS, code) ? HINTS[code] : undefined;
  return own ?? networkFailureOf(cause)?.hint ?? (status === 403 ? HINTS['AccessDenied'] : undefined);
}

function skewHint({ headers }: S3Failure, nowMs: number): string {
  const serverMs = Date.parse(headers['date'] ?? '');
  if (Number.isNaN(serverMs))
    return "Correct this machine's clock: the service refuses requests with another time.";
  const seconds = Math.round((nowMs - serverMs) / 1000);
  const way = seconds > 0 ? 'ahead of' : 'behind';
  return `Correct this machine's clock: it is ${Math.abs(seconds)} s ${way} the service's.`;
}
