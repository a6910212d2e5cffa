import type { Clock } from '../../src/base/clock.ts';

interface Sleeper {
  readonly atMs: number;
  wake(): void;
}

/** Time that a test moves by hand; sleepers wake in the order of their times. */
export class FakeClock implements Clock {
  #wallMs: number;
  #elapsedMs = 0;
  #sleepers: Sleeper[] = [];
  /** Every sleep that was asked for, in milliseconds. */
  readonly sleeps: number[] = [];

  constructor(startMs: number = Date.parse('2026-01-01T00:00:00Z')) {
    this.#wallMs = startMs;
  }

  now(): number {
    return this.#wallMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  /** Sleepers that have not been woken. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.sleeps.push(ms);
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason as Error);
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const sleeper: Sleeper = { atMs: this.#elapsedMs + ms, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Lets `ms` milliseconds pass at once and wakes whoever is due; what they then do has not happened yet. */
  advance(ms: number): void {
    this.#elapsedMs += ms;
    const due = this.#sleepers.filter(({ atMs }) => atMs <= this.#elapsedMs);
    this.#sleepers = this.#sleepers.filter(({ atMs }) => atMs > this.#elapsedMs);
    for (const sleeper of due.sort((a, b) => a.atMs - b.atMs)) sleeper.wake();
  }
}
