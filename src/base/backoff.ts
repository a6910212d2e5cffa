/** Growing waits between attempts, with jitter so that many who failed together do not come back together. */
export interface Backoff {
  /** The wait before the next attempt, in milliseconds; grows with each call. */
  next(): number;
  reset(): void;
  /** How many waits were asked for since the last reset. */
  readonly attempts: number;
}

/**
 * @param firstMs - the first wait
 * @param maxMs - no wait is longer
 * @param random - 0 to 1; a wait lies between half and the whole of its bound
 */
export function exponentialBackoff(
  firstMs: number,
  maxMs: number,
  random: () => number = Math.random,
): Backoff {
  let attempts = 0;
  return {
    next() {
      const boundMs = Math.min(maxMs, firstMs * 2 ** Math.min(attempts, 30));
      attempts++;
      return boundMs / 2 + (random() * boundMs) / 2;
    },
    reset() {
      attempts = 0;
    },
    get attempts() {
      return attempts;
    },
  };
}
