/** What an answer or a failure of an S3 request means. */
import type { RivuletError } from '../../base/errors.ts';
import { messageOf } from '../../base/errors.ts';
import { networkFailureOf } from '../network-failure.ts';
import { parseRetryAfter } from '../retry-after.ts';
import { storageFailed } from '../storage-error.ts';
import type { FailureFacts } from '../storage-error.ts';

/** What is read from an error of the SDK, before anything is decided. */
export interface S3Failure {
  /** Undefined when there was no answer. */
  readonly status: number | undefined;
  /** The service's own error code; a word for the status where the answer had no body, as with HEAD. */
  readonly code: string;
  readonly requestId: string | undefined;
  /** Of the answer, with names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The region that the service names as the right one. */
  readonly region: string | undefined;
  readonly message: string;
  readonly cause: unknown;
}

/** What the SDK calls errors that the service gave no name. */
const NAMELESS = new Set(['Error', 'Unknown', 'UnknownError']);

/** What the SDK's errors hold beside a message, when there was an answer. */
interface SdkError {
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Record<string, string> };
  readonly Code?: unknown;
  readonly Region?: unknown;
}

export function readFailure(error: unknown): S3Failure {
  const fields = (error ?? {}) as SdkError;
  const { $metadata: metadata = {}, $response: response } = fields;
  const headers = response?.headers ?? {};
  const status = metadata.httpStatusCode ?? response?.statusCode;
  const name = error instanceof Error && !NAMELESS.has(error.name) ? error.name : '';
  const code = text(fields.Code) ?? name;
  return {
    status,
    code: /^\d*$/.test(code) ? '' : code,
    requestId: metadata.requestId ?? headers['x-amz-request-id'],
    headers,
    region: regionName(headers['x-amz-bucket-region']) ?? regionName(fields.Region),
    message: messageOf(error),
    cause: error,
  };
}

/** As services name regions. What an endpoint sends becomes part of a host name, so anything else is no region. */
const REGION = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

function regionName(value: unknown): string | undefined {
  return typeof value === 'string' && REGION.test(value) ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Codes that say something about the keys rather than about what was asked for. */
const KEY_CODES = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'RequestExpired',
  'TokenRefreshRequired',
  'InvalidToken',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'SignatureDoesNotMatch',
  'InvalidSecurity',
  'AuthFailure',
]);
const EXPIRED_CODES = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'RequestExpired',
  'TokenRefreshRequired',
]);

/** Whether other keys might be let through. A 400 without a body is how HEAD says that a token has expired. */
export function mayBeKeys({ status, code }: S3Failure): boolean {
  if (code === 'RequestTimeTooSkewed') return false;
  return status === 401 || status === 403 || KEY_CODES.has(code) || (status === 400 && isNameless(code));
}

function isNameless(code: string): boolean {
  return code === '' || code === 'BadRequest' || code === 'Bad Request';
}

/** The region to turn to, when this one was wrong. */
export function otherRegion(failure: S3Failure, used: string): string | undefined {
  const { status, code, region } = failure;
  const isMisplaced =
    status === 301 ||
    status === 307 ||
    code === 'PermanentRedirect' ||
    code === 'AuthorizationHeaderMalformed' ||
    code === 'IllegalLocationConstraintException' ||
    (status === 400 && isNameless(code));
  return isMisplaced && region !== undefined && region !== used ? region : undefined;
}

export function isRefusedCondition({ status, code }: S3Failure): boolean {
  return status === 412 || code === 'PreconditionFailed';
}

/**
 * Ceph's answer to writes that lost a race against another: what it was to be compared with has changed meanwhile, and
 * it has no better name for that.
 */
export function isLostRace({ status, code }: S3Failure): boolean {
  return status === 500 && code === 'UnknownError';
}

/** An object that is not there. A missing bucket is another matter, and so is a 404 of some proxy, which has no id. */
export function isMissingObject({ status, code, requestId }: S3Failure): boolean {
  if (status !== 404) return false;
  return code === 'NoSuchKey' || code === 'NoSuchVersion' || (code === 'NotFound' && requestId !== undefined);
}

/** The same for HEAD, whose answers have no body to tell more. */
export function isMissingHead({ status, code }: S3Failure): boolean {
  return status === 404 && code !== 'NoSuchBucket';
}

export function isMissingUpload({ code }: S3Failure): boolean {
  return code === 'NoSuchUpload';
}

export function isNotImplemented({ status, code }: S3Failure): boolean {
  return status === 501 || code === 'NotImplemented' || code === 'MethodNotAllowed' || status === 405;
}

const THROTTLED = new Set([
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'BandwidthLimitExceeded',
  'ServiceUnavailable',
]);

/** What passes although the status says otherwise. Damage on the way is among it. */
const PASSING = new Set([
  'InternalError',
  'RequestTimeout',
  'RequestTimeoutException',
  'OperationAborted',
  'ConditionalRequestConflict',
  'BadDigest',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
]);

const LASTING = new Set(['NotImplemented', 'InsufficientStorage', 'QuotaExceeded', 'XMinioStorageFull']);

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

/** The failure as people see it. `action` as in "cannot write a/b to". */
export function failed(
  action: string,
  location: string,
  failure: S3Failure,
  more: FailureMore,
): RivuletError {
  const facts = factsOf(failure, more);
  return storageFailed(`${action} ${location}: ${reasonOf(failure, more)}`, {
    ...facts,
    cause: failure.cause,
    details: detailsOf(failure),
  });
}

/** What else is known of a request that failed. */
export interface FailureMore {
  /** Wall-clock time. */
  readonly nowMs: number;
  /** Whether the keys that were used are past their expiry. */
  readonly areKeysExpired: boolean;
  /** The region that was asked. */
  readonly region: string;
}

function factsOf(failure: S3Failure, more: FailureMore): FailureFacts {
  const { status, code, headers } = failure;
  const retryAfterMs = parseRetryAfter(headers['retry-after'], more.nowMs);
  const hint = hintOf(failure, more);
  if (mayBeKeys(failure)) return { ...keyFacts(failure, more), retryAfterMs, hint };
  // As other services have it: somebody has to make the bucket, or to correct its name.
  if (code === 'NoSuchBucket') return { code: 'STORAGE_DENIED', retry: false, hint };
  if (status === undefined) return { retry: networkFailureOf(failure.cause)?.retry ?? true, hint };
  const throttled = status === 429 || THROTTLED.has(code);
  const retry = throttled || PASSING.has(code) || (isPassingStatus(status) && !LASTING.has(code));
  return { retry, throttled, retryAfterMs, hint };
}

function isPassingStatus(status: number): boolean {
  // An answer of 200 that could not be read was cut off, or came from something in between.
  return status < 300 || status === 408 || (status >= 500 && status !== 501 && status !== 507);
}

/** Keys that expired may be followed by others a moment later; refused ones need somebody to look at them. */
function keyFacts({ code, status }: S3Failure, { areKeysExpired }: FailureMore): FailureFacts {
  if (areKeysExpired || EXPIRED_CODES.has(code)) return { code: 'CREDENTIALS_FAILED', retry: true };
  const isAboutKeys = KEY_CODES.has(code) || status === 401 || status === 400;
  return { code: isAboutKeys ? 'CREDENTIALS_FAILED' : 'STORAGE_DENIED', retry: false };
}

function hintOf(failure: S3Failure, more: FailureMore): string | undefined {
  const { code, status } = failure;
  const right = otherRegion(failure, more.region);
  // Whoever answers names a region; whether it is the right one, the user knows.
  if (right !== undefined)
    return `The endpoint claims that the bucket is in the region "${right}", and was asked for "${more.region}": compare with the region of your bucket, and correct \`region\` or the endpoint.`;
  if (code === 'RequestTimeTooSkewed') return skewHint(failure, more.nowMs);
  if (code.startsWith('KMS')) return KMS_HINT;
  if (more.areKeysExpired && mayBeKeys(failure)) return HINTS['ExpiredToken'];
  if (status === 301) return 'The bucket is in another region, or behind another endpoint.';
  if (status === 404 && code !== 'NoSuchBucket')
    return 'Does this endpoint speak S3, and is the bucket right?';
  const network = networkFailureOf(failure.cause);
  const isUntrusted = network !== undefined && !network.retry;
  if (isUntrusted) return `${network.hint} "skip-verify: true" takes any certificate, for tests.`;
  if (/before secure TLS/.test(failure.message))
    return 'Does the endpoint speak https on this port, or http?';
  // The service chose the code.
  const own = Object.hasOwn(HINTS, code) ? HINTS[code] : undefined;
  return own ?? network?.hint ?? (status === 403 ? HINTS['AccessDenied'] : undefined);
}

function skewHint({ headers }: S3Failure, nowMs: number): string {
  const serverMs = Date.parse(headers['date'] ?? '');
  if (Number.isNaN(serverMs))
    return "Correct this machine's clock: the service refuses requests with another time.";
  const seconds = Math.round((nowMs - serverMs) / 1000);
  const way = seconds > 0 ? 'ahead of' : 'behind';
  return `Correct this machine's clock: it is ${Math.abs(seconds)} s ${way} the service's.`;
}

function reasonOf({ status, code, message }: S3Failure, { areKeysExpired }: FailureMore): string {
  if (status === undefined) return message.trim() === '' ? 'no answer' : withoutOpenSsl(message.trim());
  const words = message === '' || message === 'UnknownError' || message === code ? '' : `: ${message.trim()}`;
  const expired = areKeysExpired && code === 'AccessDenied' ? ', with keys that have expired' : '';
  return `${code === '' ? 'HTTP' : code} (${status})${expired}${words}`;
}

/** OpenSSL tells where in its sources it noticed; nobody here can do anything with that. */
function withoutOpenSsl(message: string): string {
  const reason = /(?:^|:)error:[0-9A-F]{6,}:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1];
  return reason === undefined ? message : `the connection cannot be encrypted: ${reason}`;
}

function detailsOf({ status, code, requestId, cause }: S3Failure): Record<string, unknown> {
  const system = status === undefined ? networkFailureOf(cause)?.systemCode : undefined;
  return {
    ...(status === undefined ? {} : { status }),
    ...(code === '' || status === undefined ? {} : { serviceCode: code }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(system === undefined ? {} : { systemCode: system }),
  };
}
