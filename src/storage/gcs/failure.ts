/** What an answer of Google Cloud Storage means. Codes: cloud.google.com/storage/docs/json_api/v1/status-codes. */
import { RivuletError, messageOf } from '../../base/errors.ts';
import { networkFailureOf } from '../network-failure.ts';
import { parseRetryAfter } from '../retry-after.ts';
import { objectExists, objectNotFound, storageFailed } from '../storage-error.ts';
import type { FailureFacts } from '../storage-error.ts';

/** An answer that says no. */
export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** The service's JSON, or what something in between wrote. */
  readonly text: string;
}

export interface FailedCall {
  /** As in "write a/b". */
  readonly action: string;
  readonly location: string;
  /** Something was to be stored: then nothing can be absent but the bucket or an upload's session. */
  readonly isWrite: boolean;
  /** The object that was asked for, when it was one. */
  readonly key?: string | undefined;
  readonly nowMs: number;
  /** Whether there may be another token now, so that what was refused may be allowed. */
  readonly isRenewed: boolean;
}

const TOKEN_HINT =
  'Google does not accept the token: is the service account enabled, and the clock of this machine right?';
const ROLE_HINT =
  'Objects must be readable, writable, listable and deletable: give the account the role roles/storage.objectUser on the bucket.';
const BUCKET_HINT = 'Create the bucket, or correct its name: Rivulet never creates one.';
const RETENTION_HINT =
  'The bucket keeps objects for a time of its own: what retention wants to delete has to wait until it ends.';

/** Longer ones come from elsewhere and help nobody. */
const MESSAGE_CHARACTERS_MAX = 300;

export function gcsRefused(refusal: Refusal, call: FailedCall): RivuletError {
  const { location, key } = call;
  const { reason, message } = read(refusal);
  const { status } = refusal;
  const isBucketMissing = status === 404 && /bucket does not exist/i.test(message);
  if (key !== undefined && status === 404 && !call.isWrite && !isBucketMissing)
    return objectNotFound(location, key);
  if (key !== undefined && status === 412) return objectExists(location, key);
  const named = reason === undefined ? `status ${status}` : `${reason} (${status})`;
  const what = `${failed(call)}: ${named}`;
  return storageFailed(
    message === '' ? what : `${what}: ${message}`,
    factsOf(refusal, reason, isBucketMissing, call),
  );
}

function factsOf(
  refusal: Refusal,
  reason: string | undefined,
  isBucketMissing: boolean,
  call: FailedCall,
): FailureFacts {
  const { status } = refusal;
  const details = { status, ...(reason === undefined ? {} : { serverCode: reason }) };
  const throttled = status === 429 || (status === 403 && /rateLimitExceeded$/i.test(reason ?? ''));
  if (throttled || status === 408 || status >= 500) {
    const retryAfterMs = parseRetryAfter(refusal.retryAfter, call.nowMs);
    return { retry: true, throttled: throttled || status === 503, retryAfterMs, details };
  }
  if (status === 401) return { code: 'CREDENTIALS_FAILED', retry: call.isRenewed, hint: TOKEN_HINT, details };
  if (status === 403) {
    const hint = reason === 'retentionPolicyNotMet' ? RETENTION_HINT : ROLE_HINT;
    return { code: 'STORAGE_DENIED', retry: false, hint, details };
  }
  if (isBucketMissing) return { code: 'STORAGE_DENIED', retry: false, hint: BUCKET_HINT, details };
  return { retry: false, details };
}

/** No answer, or one that broke off. */
export function gcsUnanswered(error: unknown, call: FailedCall): RivuletError {
  if (error instanceof RivuletError) return error;
  const network = networkFailureOf(error);
  return storageFailed(`${failed(call)}: ${messageOf(error)}`, {
    retry: network?.retry ?? true,
    hint: network?.hint,
    cause: error,
    details: network === undefined ? {} : { systemCode: network.systemCode },
  });
}

function failed({ action, location, isWrite }: FailedCall): string {
  return `cannot ${action} ${isWrite ? 'to' : 'at'} ${location}`;
}

/** The reason and the words of `{"error": {"message": ..., "errors": [{"reason": ...}]}}`. */
function read({ text }: Refusal): { reason: string | undefined; message: string } {
  const error = parsed(text);
  if (error === undefined) return { reason: undefined, message: shortened(text) };
  const [first] = Array.isArray(error.errors) ? (error.errors as unknown[]) : [];
  const reason = typeof first === 'object' && first !== null && 'reason' in first ? first.reason : undefined;
  return {
    reason: typeof reason === 'string' ? reason : undefined,
    message: typeof error.message === 'string' ? shortened(error.message) : '',
  };
}

function parsed(text: string): { message?: unknown; errors?: unknown } | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'object' && error !== null ? error : undefined;
  } catch {
    return undefined;
  }
}

function shortened(text: string): string {
  const line = text.trim().split('\n')[0] ?? '';
  return line.length > MESSAGE_CHARACTERS_MAX ? `${line.slice(0, MESSAGE_CHARACTERS_MAX)}...` : line;
}
