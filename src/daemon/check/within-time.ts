/** A person is waiting. */
import { formatDuration } from '../../base/duration.ts';
import { isRivuletError, RivuletError } from '../../base/errors.ts';

/** No step may take longer. */
export const STEP_MS = 10_000;

/** @throws RivuletError `STORAGE_FAILED` when the step's time is over; the signal's reason; what `run` throws */
export async function withinTime<Result>(
  run: (signal: AbortSignal) => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const late = AbortSignal.timeout(STEP_MS);
  try {
    return await run(AbortSignal.any([signal, late]));
  } catch (error) {
    if (!late.aborted || signal.aborted || isRivuletError(error)) throw error;
    throw new RivuletError('STORAGE_FAILED', `no answer within ${formatDuration(STEP_MS)}`, {
      cause: error,
      hint: 'Is the destination reachable from here (address, firewall, proxy)?',
    });
  }
}
