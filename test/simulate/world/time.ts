/** Simulated time: it stands still while anybody works, and jumps to the next thing that is due. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../src/base/clock.ts';
import { encoding } from '../../../src/codec/encode-frame.ts';
import { never, type SimProcess } from './process.ts';

export interface Clocks {
  /** How far the wall clock is ahead. */
  skewMs: number;
  /** How far the monotonic clock is ahead: below zero on a machine that slept. */
  monotonicSkewMs: number;
}

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
  /** Nobody waits for what it does with a promise, so that nothing has to settle after it. */
  readonly isPlain: boolean;
}

const START_MS = Date.parse('2026-01-01T00:00:00Z');

export class SimTime {
  #nowMs = 0;
  #order = 0;
  #due: Due[] = [];

  /** Milliseconds since the beginning of the run. */
  get elapsedMs(): number {
    return this.#nowMs;
  }

  get wallMs(): number {
    return START_MS + this.#nowMs;
  }

  /** Time that passes while a process stands still; nobody is woken in between. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }

  /** @returns takes it back */
  after(ms: number, action: () => void, isPlain = false): () => void {
    const due: Due = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, action, isPlain };
    // Few are waiting at a time, so a sorted list is the fastest.
    let at = this.#due.length;
    while (at > 0 && isLater(this.#due[at - 1] as Due, due)) at--;
    this.#due.splice(at, 0, due);
    return () => {
      const place = this.#due.indexOf(due);
      if (place >= 0) this.#due.splice(place, 1);
    };
  }

  /** Runs what is due, in order, until `isDone` or `untilMs`. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    await settled();
    while (!isDone()) {
      const next = this.#due[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return;
      }
      this.#due.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.action();
      if (!next.isPlain) await settled();
    }
  }

  /** The clock of one process; `clocks` says how far those of its machine are off, and may change. */
  clockOf(process: SimProcess, clocks: Clocks): Clock {
    return {
      now: () => this.wallMs + clocks.skewMs,
      monotonicMs: () => this.#nowMs + clocks.monotonicSkewMs,
      sleep: async (ms, signal) => this.#sleep(process, ms, signal),
    };
  }

  async #sleep(process: SimProcess, ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (process.isDead) return never();
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        takeBack();
        reject(signal?.reason as Error);
      };
      // No timer of Node.js is shorter than a millisecond.
      const takeBack = this.after(Math.max(1, ms), () => {
        process.deliver(() => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** Resolves when nobody can go on without time going on: what promises alone set off happens before the next turn. */
async function settled(): Promise<void> {
  do await nextTurn();
  while (encoding.frames > 0);
}

function isLater(a: Due, b: Due): boolean {
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.order > b.order);
}
