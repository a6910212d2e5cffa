/** One line of `rivulet check`. */
import { isRivuletError, messageOf } from '../../base/errors.ts';

export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped';

export interface Finding {
  /** The database, replica or file that was looked at. */
  readonly subject: string;
  /** The step, as in `list` or `clock`. */
  readonly step: string;
  readonly verdict: Verdict;
  /** What was found, in a few words; for a failure, why. */
  readonly detail: string;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** The stable code of the error behind a failure. */
  readonly code?: string | undefined;
  readonly elapsedMs?: number | undefined;
}

/** What a step found out; it failed when it throws. */
export type Outcome = Pick<Finding, 'verdict' | 'detail' | 'hint'>;

/** What an error says, as parts of a finding. */
export function failureOf(error: unknown): Pick<Finding, 'verdict' | 'detail' | 'hint' | 'code'> {
  const detail = messageOf(error);
  if (!isRivuletError(error)) return { verdict: 'failed', detail };
  return { verdict: 'failed', detail, hint: error.hint, code: error.code };
}
