import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/base/clock.ts';

/** After so many turns of the event loop, what does not wait for time or for the system has come to rest. */
const QUIET_TURNS = 20;

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

  /** Lets time pass until whoever is due first is woken. */
  advanceToNext(): void {
    const next = Math.min(...this.#sleepers.map(({ atMs }) => atMs));
    if (Number.isFinite(next)) this.advance(Math.max(0, next - this.#elapsedMs));
  }

  /** Lets time pass whenever nothing else happens, until `work` is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    const over = new AbortController();
    const ending = work.finally(() => over.abort());
    // Whoever waits for the outcome waits for it below.
    ending.catch(() => undefined);
    for (let turn = 1; !over.signal.aborted; turn++) {
      await setImmediate();
      if (turn % QUIET_TURNS === 0) this.advanceToNext();
    }
    return ending;
  }
}
