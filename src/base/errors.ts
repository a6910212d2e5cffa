import { visibleText } from './visible-text.ts';

import { nameOfSystemError, withSystemErrorName } from './system-error-names.ts';

/**
 * The one error class that people see. A `RivuletError` says what was wrong, what was expected and what to do,
 * and carries a stable code that scripts and documentation can rely on. Anything else that is thrown is a bug.
 *
 * Message and hint may quote what others wrote: both are made visible and bounded here, so that no caller can forget it.
 */
export class RivuletError extends Error {
  override readonly name = 'RivuletError';
  /** Stable, upper case, documented in `docs/errors.md`; never reused for another meaning. */
  readonly code: ErrorCode;
  /** One sentence that says what to do next, when there is something to do. */
  readonly hint: string | undefined;
  /** Machine-readable facts (object key, offset, path ...); never a secret. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      hint?: string;
      details?: Record<string, unknown>;
      /** The message has line breaks of its own; each of its lines is made visible by itself. */
      isMultiline?: boolean;
    } = {},
  ) {
    const shown = options.isMultiline === true ? visibleEachLine(message) : visibleText(message);
    super(shown, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint === undefined ? undefined : visibleText(options.hint);
    this.details = options.details ?? {};
  }
}

function visibleEachLine(message: string): string {
  return message
    .split('\n')
    .map((line) => visibleText(line))
    .join('\n');
}

/** Every code there is, with the meaning that `docs/errors.md` repeats. */
export const ERROR_CODES = {
  USAGE: 'the command line is not understood',
  CONFIG_INVALID: 'the configuration file has an error',
  CONFIG_NOT_FOUND: 'there is no configuration file',
  NODE_UNSUPPORTED: 'this Node.js or its SQLite is too old',
  DB_NOT_FOUND: 'the database file does not exist',
  DB_INVALID: 'the file is not a SQLite database, is encrypted, or its header is corrupt',
  DB_UNREADABLE: 'the database cannot be opened or read',
  DB_BUSY: 'another process holds a lock on the database',
  DB_IN_USE: 'another Rivulet process replicates this database',
  WAL_INVALID: 'bytes that should be a write-ahead log are not one',
  LZ4_INVALID: 'an object is not a valid LZ4 frame',
  AGE_KEY_MISSING: 'an object is encrypted with age and no identity was given to read it',
  AGE_KEY_WRONG: 'an object is encrypted with age to other identities than those that were given',
  AGE_INVALID: 'a key, an identity, a recipient or an encrypted object is not valid age',
  REPLICA_EMPTY: 'the replica holds nothing that could be restored',
  REPLICA_UNKNOWN: 'no replica of that name, or no database of that path, is configured',
  REPLICA_UNREADABLE: 'the place is not empty, and holds no replica that this version reads',
  REPLICA_INVALID: 'an object or a name in the replica is not what it should be',
  CHAIN_BROKEN: 'an object is missing from the replica or does not belong where it lies',
  TARGET_UNAVAILABLE: 'the point in time, generation or index that was asked for is not in the replica',
  OUTPUT_EXISTS: 'the output path exists already',
  OUTPUT_UNWRITABLE: 'the output cannot be written',
  INTEGRITY: 'the restored database does not pass its integrity check',
  STORAGE_NOT_FOUND: 'an object does not exist',
  STORAGE_EXISTS: 'an object exists already, or is not the one that was to be replaced',
  STORAGE_DENIED: 'the destination does not allow this',
  STORAGE_FAILED: 'the destination failed',
  CREDENTIALS_FAILED: 'there are no valid credentials for the destination',
  HOST_KEY_UNVERIFIED: 'the host key of an SFTP server is not known, or not the one that was expected',
  LEASE_HELD: 'another process writes to this replica',
  LEASE_LOST: 'another process has taken over this replica',
  PACKAGE_MISSING: 'an optional package that this destination needs is not installed',
  STATE_INVALID: 'the local state cannot be used',
  TOO_MANY_FILES: 'the system allows fewer open files than all databases need',
  STALLED: 'a database or replica stands still although there is something to store',
  EXEC_FAILED: 'the child process could not be started',
  FINAL_SYNC_FAILED: 'not everything was stored at the destination before the end',
  UNSUPPORTED: 'this version does not have what was asked for',
  CANCELLED: 'the operation was cancelled',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** True when `error` is a `RivuletError` with one of `codes` (any code when none is given). */
export function isRivuletError(error: unknown, ...codes: ErrorCode[]): error is RivuletError {
  return error instanceof RivuletError && (codes.length === 0 || codes.includes(error.code));
}

/** The text of anything thrown, for log lines and messages. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Some libraries take it from an answer as it came, and that may have been a list or an object.
  const message: unknown = error.message;
  return typeof message === 'string' ? withSystemErrorName(message) : JSON.stringify(message);
}

/** The `code` of a Node.js system error (`ENOENT`, `EACCES`, ...), or undefined. Those that Node.js knows no name for have one too. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return nameOfSystemError(error.code);
  return undefined;
}
