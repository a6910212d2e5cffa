import type { Clock } from './clock.ts';

/**
 * Runs `work` with a signal that aborts when `ms` milliseconds have passed. `work` decides what it makes of that; nobody else ends it.
 *
 * @param reason - of the abort; an `AbortError` when absent
 * @throws what `work` does
 */
export async function abortAfter<T>(
  clock: Clock,
  ms: number,
  work: (late: AbortSignal) => Promise<T>,
  reason?: Error,
): Promise<T> {
  const done = new AbortController();
  const late = new AbortController();
  void clock.sleep(Math.max(0, ms), done.signal).then(
    () => late.abort(reason),
    () => undefined,
  );
  try {
    return await work(late.signal);
  } finally {
    done.abort();
  }
}
