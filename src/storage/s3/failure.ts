/** What is read from a failure of an S3 request, and what it means. */
import { messageOf } from '../../base/errors.ts';

/** What is read from an error of the SDK, before anything is decided. */
export interface S3Failure {
  /** Undefined when there was no answer. */
  readonly status: number | undefined;
  /** The answer is not one of S3: something else answers in its place. */
  readonly isForeign: boolean;
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
  const isForeign = response !== undefined && isNoErrorOfS3(error, headers);
  const message = isForeign ? foreignAnswer(headers) : textOf(error);
  return {
    status,
    code: isForeign ? '' : codeOf(error, fields),
    isForeign,
    requestId: metadata.requestId ?? headers['x-amz-request-id'],
    headers,
    region:
      regionName(headers['x-amz-bucket-region']) ?? regionName(text(fields.Region)) ?? regionIn(message),
    message,
    cause: error,
  };
}

/** The SDK's own words for an answer that it could not read, and which it blames on its caller. */
const UNREADABLE = /Deserialization error: to see the raw response/;

/** Whether the answer is none of S3: a page, plain text, or XML with other elements than an error has. */
function isNoErrorOfS3(error: unknown, headers: Readonly<Record<string, string>>): boolean {
  return UNREADABLE.test(messageOf(error)) || /^text\/html\b/i.test(headers['content-type'] ?? '');
}

function foreignAnswer(headers: Readonly<Record<string, string>>): string {
  const type = headers['content-type'];
  return `the answer is not one of S3${type === undefined ? '' : `, its type is ${type}`}`;
}

function codeOf(error: unknown, fields: SdkError): string {
  const name = error instanceof Error ? (text(error.name) ?? '') : '';
  const code = text(fields.Code) ?? (NAMELESS.has(name) ? '' : name);
  return /^\d*$/.test(code) ? '' : code;
}

function textOf(error: unknown): string {
  return (error instanceof Error ? text(error.message) : undefined) ?? messageOf(error);
}

/** As services name regions. What an endpoint sends becomes part of a host name, so anything else is no region. */
const REGION = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

function regionName(value: unknown): string | undefined {
  return typeof value === 'string' && REGION.test(value) ? value : undefined;
}

/** Some services say in words only which region they want. */
function regionIn(message: string): string | undefined {
  if (!/region/i.test(message)) return undefined;
  return regionName(/\bexpect(?:ing|ed|s)?:?\s+(?:region:?\s+)?['"`]?([a-z0-9-]+)/i.exec(message)?.[1]);
}

/** Of elements that an answer repeats, which come as a list, the first one with a text. */
function text(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value.find((one) => text(one) !== undefined) : value;
  return typeof first === 'string' && first !== '' ? first : undefined;
}

/** Codes that say something about the keys rather than about what was asked for. */
export const KEY_CODES: ReadonlySet<string> = new Set([
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
export const EXPIRED_CODES: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'RequestExpired',
  'TokenRefreshRequired',
]);

/** Whether other keys might be let through. A 400 without a body is how HEAD says that a token has expired. */
export function mayBeKeys({ status, code, isForeign }: S3Failure): boolean {
  if (code === 'RequestTimeTooSkewed') return false;
  return (
    status === 401 ||
    status === 403 ||
    KEY_CODES.has(code) ||
    (status === 400 && isNameless(code) && !isForeign)
  );
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
    status === 403 ||
    code === 'PermanentRedirect' ||
    code === 'AuthorizationHeaderMalformed' ||
    code === 'IllegalLocationConstraintException' ||
    (status === 400 && (isNameless(code) || /region/i.test(failure.message)));
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
