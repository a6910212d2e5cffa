import { UntrustedPath } from '../base/directory-handle.ts';
import { RivuletError, isRivuletError, messageOf, systemCode } from '../base/errors.ts';
import { systemHint } from '../base/system-hint.ts';

/** A system error at a path as people see it. @param action what failed, as in "cannot write" */
export function fileFailed(action: string, path: string, error: unknown): RivuletError {
  if (error instanceof RivuletError) return error;
  if (error instanceof UntrustedPath) {
    const { message, hint } = error;
    const problem = `cannot ${action} ${path}: ${message}`;
    const details = { path, systemCode: UNTRUSTED };
    return new RivuletError('STORAGE_FAILED', problem, { cause: error, hint, details });
  }
  const code = systemCode(error);
  const hint = systemHint(error);
  return new RivuletError('STORAGE_FAILED', `cannot ${action} ${path}: ${problemOf(code, error)}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    details: { path, ...(code === undefined ? {} : { systemCode: code }) },
  });
}

/** In place of the system's code. */
const UNTRUSTED = 'UNTRUSTED';
/** What only a person mends, by another path or another file there. */
const WRONG_PLACES: ReadonlySet<unknown> = new Set(['ENOTDIR', 'ELOOP', UNTRUSTED]);

/** Whether a failure says that the path of a destination is not what it has to be, so that no other attempt helps. */
export function isWrongPlace(error: unknown): boolean {
  return isRivuletError(error, 'STORAGE_FAILED') && WRONG_PLACES.has(error.details['systemCode']);
}

function problemOf(code: string | undefined, error: unknown): string {
  if (code === 'ENOTDIR') return 'it, or a part of it, is a file, expected a directory (ENOTDIR)';
  return messageOf(error);
}

/** An object that does not exist. @param location the store's, without secrets */
export function objectNotFound(location: string, key: string, cause?: unknown): RivuletError {
  return new RivuletError('STORAGE_NOT_FOUND', `there is no object ${key} at ${location}`, {
    cause,
    details: { key, location },
  });
}

/** An object that goes on behind where it must end. @param location the store's, without secrets */
export function objectTooLong(location: string, key: string, maxBytes: number): RivuletError {
  return new RivuletError(
    'REPLICA_INVALID',
    `${key} at ${location} is longer than the ${maxBytes} bytes that are expected of it`,
    {
      hint: 'Another object than the listing shows is stored there, or something else answers in place of the destination.',
      details: { key, location, maxBytes },
    },
  );
}

/** What the answer of a destination means for the caller. */
export interface FailureFacts {
  /** The code; `STORAGE_FAILED` when absent. */
  readonly code?: 'STORAGE_FAILED' | 'STORAGE_DENIED' | 'CREDENTIALS_FAILED';
  /** Whether the same call may work when it is made again. */
  readonly retry: boolean;
  /** How long the server asked to wait before the next attempt. */
  readonly retryAfterMs?: number | undefined;
  /** The server asks for fewer requests. */
  readonly throttled?: boolean;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** More facts for machines: HTTP status, the server's own error code, request id; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A server's own words are part of a message, and a log is not its to fill. */
const MESSAGE_LENGTH_MAX = 2_000;

function shortened(message: string): string {
  return message.length <= MESSAGE_LENGTH_MAX ? message : `${message.slice(0, MESSAGE_LENGTH_MAX)}...`;
}

/**
 * A failure of a destination behind a network.
 *
 * @param what - what failed and why, as in "cannot write a/b to s3://bucket: SlowDown (503)"
 */
export function storageFailed(what: string, facts: FailureFacts): RivuletError {
  const { code = 'STORAGE_FAILED', retry, retryAfterMs, throttled = false, hint, cause, details } = facts;
  return new RivuletError(code, shortened(what), {
    cause,
    ...(hint === undefined ? {} : { hint }),
    details: { ...details, retry, throttled, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  });
}

/** Whether trying the same call again may help: true for what a network or a busy server does. */
export function mayRetry(error: unknown): boolean {
  return (
    isRivuletError(error, 'STORAGE_FAILED', 'CREDENTIALS_FAILED', 'STORAGE_DENIED') &&
    error.details['retry'] === true
  );
}

/** How long the server asked to wait, in milliseconds; undefined when it did not say. */
export function retryAfterOf(error: unknown): number | undefined {
  const ms = error instanceof RivuletError ? error.details['retryAfterMs'] : undefined;
  return typeof ms === 'number' ? ms : undefined;
}

/**
 * A write that must be conditional, at a store that has said that it knows no conditions.
 *
 * @param location - the store's, without secrets
 */
export function conditionsUnknown(location: string, key: string): RivuletError {
  return storageFailed(`cannot replace ${key} at ${location}: the service does not know conditional writes`, {
    retry: false,
    hint: 'Use a service that does, or turn the lease off.',
    details: { serviceCode: 'NotImplemented' },
  });
}

/** A conditional write that was refused. @param location the store's, without secrets */
export function objectExists(location: string, key: string, cause?: unknown): RivuletError {
  return new RivuletError(
    'STORAGE_EXISTS',
    `${key} at ${location} exists already, or has changed meanwhile`,
    {
      cause,
      details: { key, location },
    },
  );
}
