import { isRivuletError } from '../base/errors.ts';

/** What to do when the last changes could not be stored: about the cause, and that nothing is lost yet. */
export function finalSyncHint(cause: unknown): string {
  if (isRivuletError(cause, 'DB_INVALID', 'DB_UNREADABLE', 'DB_NOT_FOUND') && cause.hint !== undefined)
    return cause.hint;
  const kept = 'The write-ahead log was kept; the next start continues from there.';
  if (!isRivuletError(cause) || cause.hint === undefined || cause.code === 'FINAL_SYNC_FAILED') return kept;
  return `${cause.hint} ${kept}`;
}
