/** What an answer of Azure Blob Storage means. Codes: learn.microsoft.com, "Blob Storage error codes". */
import { RivuletError, messageOf } from '../../base/errors.ts';
import { networkFailureOf } from '../network-failure.ts';
import { parseRetryAfter } from '../retry-after.ts';
import { objectExists, objectNotFound, storageFailed } from '../storage-error.ts';
import type { FailureFacts } from '../storage-error.ts';

/** The parts of the client's `RestError` that are looked at. */
interface Answer {
  readonly statusCode?: number | undefined;
  readonly code?: string | undefined;
  readonly details?: unknown;
  readonly response?: { readonly headers: { get(name: string): string | undefined } } | undefined;
}

export interface FailedCall {
  /** As in "write a/b". */
  readonly action: string;
  readonly location: string;
  /** The object that was asked for, when it was one. */
  readonly key?: string | undefined;
  readonly nowMs: number;
  /** Whether the identity was replaced since, so that what was refused may be allowed now. */
  readonly isRenewed: boolean;
}

const CLOCK_HINT =
  'Is the key or SAS token the right one for this account, not yet expired, and the clock of this machine right?';
const ROLE_HINT =
  'Reading, writing, listing and deleting blobs must be allowed: the role "Storage Blob Data Contributor", or a SAS token with the permissions rcwdl.';

/** Codes of refusals that have nothing to do with who asks. */
const DENIED_HINTS: ReadonlyMap<string, string> = new Map([
  ['AuthorizationFailure', `${ROLE_HINT} A firewall of the storage account answers the same.`],
  ['AuthorizationPermissionMismatch', ROLE_HINT],
  [
    'AuthorizationResourceTypeMismatch',
    'The SAS token must be for the container, or for containers and objects (srt=co).',
  ],
  ['AuthorizationServiceMismatch', 'The SAS token must be for the Blob service (ss=b).'],
  [
    'AuthorizationProtocolMismatch',
    'The SAS token is for https only: use an endpoint that begins with https://.',
  ],
  [
    'AuthorizationSourceIPMismatch',
    'The SAS token is for another address range than that of this machine (sip=).',
  ],
  ['InsufficientAccountPermissions', ROLE_HINT],
  [
    'KeyBasedAuthenticationNotPermitted',
    'The account does not take account keys: use the default identity, or a SAS token of a user delegation.',
  ],
  ['AccountIsDisabled', 'The storage account is disabled: look at the subscription in the portal.'],
  ['PublicAccessNotPermitted', 'Give an account key, a SAS token or an identity.'],
  [
    'BlobImmutableDueToPolicy',
    'The container has an immutability policy: what retention wants to delete has to wait until it ends.',
  ],
  ['LeaseIdMissing', 'Somebody holds a lease of the blob or the container: break it.'],
]);

const CONTAINER_HINT = 'Create the container, or correct its name: Rivulet never creates one.';

/** @param error what the client threw; it holds the request with its signature, so only its text goes on */
export function azureFailed(error: unknown, call: FailedCall): RivuletError {
  if (error instanceof RivuletError) return error;
  const { location, key } = call;
  const answer = answerOf(error);
  const code = serverCodeOf(answer);
  const cause = new Error(textOf(error));
  if (key !== undefined && isAbsent(answer, code)) return objectNotFound(location, key, cause);
  if (key !== undefined && isUnmet(answer, code)) return objectExists(location, key, cause);
  const preposition = call.action.startsWith('write') ? 'to' : 'at';
  const what = `cannot ${call.action} ${preposition} ${location}: ${explain(error, answer, code)}`;
  return storageFailed(what, { ...factsOf(error, answer, code, call), cause });
}

function factsOf(error: unknown, answer: Answer, code: string | undefined, call: FailedCall): FailureFacts {
  const { statusCode: status } = answer;
  const details = {
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { serverCode: code }),
  };
  if (status === undefined) return { ...withoutAnswer(error, call), details };
  const retryAfterMs = parseRetryAfter(answer.response?.headers.get('retry-after'), call.nowMs);
  if (isUnauthenticated(status, code, textOf(error))) {
    return { code: 'CREDENTIALS_FAILED', retry: call.isRenewed, hint: CLOCK_HINT, details };
  }
  if (status === 403 || DENIED_HINTS.has(code ?? '')) {
    return {
      code: 'STORAGE_DENIED',
      retry: call.isRenewed,
      hint: DENIED_HINTS.get(code ?? '') ?? ROLE_HINT,
      details,
    };
  }
  if (code === 'ContainerNotFound')
    return { code: 'STORAGE_DENIED', retry: false, hint: CONTAINER_HINT, details };
  const throttled = status === 429 || code === 'ServerBusy' || (status === 503 && code === undefined);
  const retry = throttled || status === 408 || status >= 500 || code === 'ContainerBeingDeleted';
  return { retry, throttled, retryAfterMs, details, hint: undefined };
}

/** Nothing came back: a name, a connection, a certificate, or an identity that has no token. */
function withoutAnswer(error: unknown, call: FailedCall): FailureFacts {
  const network = networkFailureOf(error);
  if (isIdentityError(error)) {
    const hint =
      'No identity of this machine gives a token: set account-key or sas-token, sign in (az login), or assign a managed identity.';
    return { code: 'CREDENTIALS_FAILED', retry: call.isRenewed || network?.retry === true, hint };
  }
  if (network !== undefined) return { retry: network.retry, hint: network.hint };
  return { retry: true };
}

/** Azurite, and some refusals of the service, have the code of a missing permission and say better in words. */
function isUnauthenticated(status: number, code: string | undefined, text: string): boolean {
  return (
    status === 401 ||
    text.startsWith('Server failed to authenticate the request') ||
    code === 'AuthenticationFailed' ||
    code === 'InvalidAuthenticationInfo' ||
    code === 'NoAuthenticationInformation'
  );
}

/** Whether another secret could change the answer. */
export function isRefusal(error: unknown): boolean {
  const { statusCode } = answerOf(error);
  return statusCode === 401 || statusCode === 403 || isIdentityError(error);
}

export function answerOf(error: unknown): Answer {
  return typeof error === 'object' && error !== null ? error : {};
}

/** The service's own code: in a header also where there is no body. Codes of Node.js are not among them. */
export function serverCodeOf(answer: Answer): string | undefined {
  if (answer.statusCode === undefined) return undefined;
  const told = answer.response?.headers.get('x-ms-error-code');
  const parsed = detailOf(answer, 'errorCode') ?? detailOf(answer, 'code') ?? detailOf(answer, 'Code');
  // The client hands on what stood in the answer, whatever that is.
  return told ?? parsed ?? (typeof answer.code === 'string' ? answer.code : undefined);
}

function detailOf({ details }: Answer, name: string): string | undefined {
  if (typeof details !== 'object' || details === null) return undefined;
  const value = (details as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}

function isAbsent({ statusCode }: Answer, code: string | undefined): boolean {
  return (
    code === 'BlobNotFound' || (statusCode === 404 && (code === undefined || code === 'ResourceNotFound'))
  );
}

/** `BlobAlreadyExists` is the answer to If-None-Match, `ConditionNotMet` that to If-Match. */
function isUnmet({ statusCode }: Answer, code: string | undefined): boolean {
  if (code === 'BlobAlreadyExists' || code === 'ConditionNotMet' || code === 'TargetConditionNotMet')
    return true;
  return statusCode === 412 && code === undefined;
}

function isIdentityError(error: unknown): boolean {
  return (
    error instanceof Error &&
    ['CredentialUnavailableError', 'AggregateAuthenticationError', 'AuthenticationError'].includes(error.name)
  );
}

function explain(error: unknown, answer: Answer, code: string | undefined): string {
  // The client takes the answer apart without a look at what it is.
  if (error instanceof TypeError) return 'the answer is not one of Azure Blob Storage';
  if (answer.statusCode === undefined) return textOf(error);
  const why = whyRefused(answer);
  const named = code === undefined ? `status ${answer.statusCode}` : `${code} (${answer.statusCode})`;
  return why === undefined ? named : `${named}: ${why}`;
}

/** Says when the signature is or was valid; other details repeat parts of the signed request. */
function whyRefused(answer: Answer): string | undefined {
  const detail =
    detailOf(answer, 'authenticationErrorDetail') ?? detailOf(answer, 'AuthenticationErrorDetail');
  return detail?.startsWith('Signature not valid in the specified time frame') === true ? detail : undefined;
}

/** The first line: the rest repeats what the details have. */
function textOf(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}
