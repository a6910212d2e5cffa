import { setTimeout as delay } from 'node:timers/promises';

/** Time as an argument, so that tests and simulations can own it. */
export interface Clock {
  /** Wall-clock milliseconds since 1970. */
  now(): number;
  /** Milliseconds that never go backwards; only differences mean something. */
  monotonicMs(): number;
  /** Resolves after `ms` milliseconds, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Timers take signed 32 bits of milliseconds (24.8 days) and fire at once beyond. */
const TIMER_MS_MAX = 0x7fffffff;

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  for (let leftMs = ms; ; leftMs -= TIMER_MS_MAX) {
    try {
      await delay(Math.min(leftMs, TIMER_MS_MAX), undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      // Node.js rejects with an error of its own, in which the reason is the cause.
      signal?.throwIfAborted();
      throw error;
    }
    if (leftMs <= TIMER_MS_MAX) return;
  }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep,
};
