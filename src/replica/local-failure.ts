/**
 * Failures of this machine: the database, its log or the local state could not be read. They say nothing about the
 * destination, and give up nothing: the position stays where it was.
 */
import { isRivuletError } from '../base/errors.ts';
import type { FailureSettings } from './failure-log.ts';

const LOCAL_CODES = ['DB_UNREADABLE', 'DB_BUSY', 'DB_INVALID', 'DB_NOT_FOUND', 'STATE_INVALID'] as const;

/** Disks and network file systems recover within seconds, and the log grows meanwhile. */
export const READING: FailureSettings = {
  what: 'reading the database for this destination',
  retryFirstMs: 250,
  retryMaxMs: 10_000,
  remindMs: 5 * 60_000,
  actAfterMs: Number.POSITIVE_INFINITY,
};

/** Whether what was thrown while shipping is about this machine and not about the destination. */
export function isLocalFailure(error: unknown): boolean {
  return isRivuletError(error, ...LOCAL_CODES);
}
