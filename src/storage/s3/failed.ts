/** From a failure of an S3 request to the error that callers and people see. */
import type { RivuletError } from '../../base/errors.ts';
import { networkFailureOf } from '../network-failure.ts';
import { parseRetryAfter } from '../retry-after.ts';
import { storageFailed } from '../storage-error.ts';
import type { FailureFacts } from '../storage-error.ts';
import { EXPIRED_CODES, KEY_CODES, mayBeKeys } from './failure.ts';
import type { S3Failure } from './failure.ts';
import { awsHost, hintOf } from './hints.ts';
import type { FailureMore } from './hints.ts';

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

/** The failure as people see it. `action` as in "cannot write a/b to". */
export function failed(action: string, failure: S3Failure, more: FailureMore): RivuletError {
  const facts = factsOf(failure, more);
  return storageFailed(`${action} ${more.profile.location}: ${reasonOf(failure, more)}`, {
    ...facts,
    cause: failure.cause,
    details: detailsOf(failure),
  });
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

function reasonOf(
  { status, code, message }: S3Failure,
  { areKeysExpired, profile, region }: FailureMore,
): string {
  if (status === undefined) return message.trim() === '' ? 'no answer' : withoutOpenSsl(message.trim());
  // A location without an endpoint does not say where the request went.
  const where = profile.endpoint === undefined ? ` from ${awsHost(region)}` : '';
  const words = message === '' || message === 'UnknownError' || message === code ? '' : `: ${message.trim()}`;
  const expired = areKeysExpired && code === 'AccessDenied' ? ', with keys that have expired' : '';
  return `${code === '' ? 'HTTP' : code} (${status})${where}${expired}${words}`;
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
