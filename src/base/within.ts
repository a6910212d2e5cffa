import type { Clock } from './clock.ts';

/** Waits for `work`, but no longer than `ms` milliseconds. @returns whether it was done; a failure counts as done, and is thrown */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  const enough = new AbortController();
  const late = clock.sleep(Math.max(0, ms), enough.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    enough.abort();
  }
}
