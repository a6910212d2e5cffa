/** A person is waiting. */
import { formatDuration } from '../../base/duration.ts';
import { isRivuletError, RivuletError } from '../../base/errors.ts';

/** No step may take longer. */
export const STEP_MS = 10_000;

/**
 * @param tooLate - the error when the step's time is over; by default it is the destination that gave no answer
 * @throws RivuletError what `tooLate` gives, of code `STORAGE_FAILED` by default; the signal's reason; what `run` throws
 */
export async function withinTime<Result>(
  run: (signal: AbortSignal) => Promise<Result>,
  signal: AbortSignal,
  tooLate: (problem: string, cause: unknown) => RivuletError = noAnswer,
): Promise<Result> {
  const late = AbortSignal.timeout(STEP_MS);
  try {
    return await run(AbortSignal.any([signal, late]));
  } catch (error) {
    if (!late.aborted || signal.aborted || isRivuletError(error)) throw error;
    throw tooLate(`no answer within ${formatDuration(STEP_MS)}`, error);
  }
}

function noAnswer(problem: string, cause: unknown): RivuletError {
  return new RivuletError('STORAGE_FAILED', problem, {
    cause,
    hint: 'Is the destination reachable from here (address, firewall, proxy)?',
  });
}
