/** Writers on one store, with a clock that a test moves: the store's time moves with it. */
import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/base/clock.ts';
import { decodeLease, type LeaseRecord } from '../../src/generations/lease-record.ts';
import { Lease, type LeaseSettings } from '../../src/replica/lease/lease.ts';
import { openLease } from '../../src/replica/lease/open-lease.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openRegister } from '../../src/storage/open-register.ts';
import { FakeClock } from './fake-clock.ts';
import { FaultyStore } from './faulty-store.ts';
import { MemoryStore } from './memory-store.ts';
import { RecordingLogger } from './recording-logger.ts';
import { Scratch } from './scratch.ts';

export const DURATION_MS = 60_000;

/** So many turns of the event loop are enough for everything that only waits for promises. */
const TURNS = 12;

/** A clock of one machine: may be suspended, or set. */
export class MachineClock implements Clock {
  readonly #base: FakeClock;
  wallShiftMs = 0;
  monotonicShiftMs = 0;

  constructor(base: FakeClock) {
    this.#base = base;
  }

  now(): number {
    return this.#base.now() + this.wallShiftMs;
  }

  monotonicMs(): number {
    return this.#base.monotonicMs() + this.monotonicShiftMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#base.sleep(ms, signal);
  }
}

export interface Writer {
  readonly lease: Lease;
  readonly store: FaultyStore;
  readonly logger: RecordingLogger;
  readonly clock: MachineClock;
}

export class LeaseScene implements Disposable {
  readonly clock: FakeClock = new FakeClock();
  readonly memory: MemoryStore = new MemoryStore();
  readonly #scratch = new Scratch();

  /** A process; the same name means the same state directory. */
  writer(
    name: string,
    settings: Partial<LeaseSettings> = {},
    around: { host?: string; store?: ObjectStore; metaName?: string } = {},
  ): Writer {
    const store = new FaultyStore(around.store ?? this.memory);
    const logger = new RecordingLogger();
    const clock = new MachineClock(this.clock);
    const lease = openLease(
      { mode: 'auto', durationMs: DURATION_MS, whenHeld: 'wait', renew: 'active', ...settings },
      {
        store,
        clock,
        logger,
        metaPath: this.#scratch.file(around.metaName ?? name),
        name: 'r',
        database: `/${name}.db`,
        program: 'test',
        host: around.host ?? `host-${name}`,
      },
    );
    return { lease, store, logger, clock };
  }

  /** Lets time pass, in steps, with everything that happens then. */
  async pass(ms: number, stepMs: number = 1_000): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      const step = Math.min(left, stepMs);
      this.clock.advance(step);
      this.memory.nowMs += step;
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let n = 0; n < TURNS; n++) await turn();
  }

  async record(store: ObjectStore = this.memory): Promise<LeaseRecord | undefined> {
    const reading = await openRegister(store)?.read();
    return reading && decodeLease(reading.bytes);
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

export function randomGeneration(): string {
  return randomBytes(8).toString('hex');
}

/** Follows a promise without waiting for it. */
export function watch<T>(promise: Promise<T>): { value?: T; error?: unknown } {
  const seen: { value?: T; error?: unknown } = {};
  promise.then(
    (value) => (seen.value = value),
    (error: unknown) => (seen.error = error),
  );
  return seen;
}
