/**
 * The record as this process wrote it last. Each next value replaces exactly that one: when the swap succeeds, nobody
 * else has held the lease in between.
 */
import type { Clock } from '../../base/clock.ts';
import {
  decodeLease,
  encodeLease,
  type LeaseRecord,
  type LeaseState,
} from '../../generations/lease-record.ts';
import type { Generation } from '../../generations/names.ts';
import type { Reading, Register } from '../../storage/register.ts';
import { supersede } from './succession.ts';
import { isInTime, isValid, type Moment, type Renewal } from './validity.ts';

export interface RecordTools {
  readonly register: Register;
  readonly clock: Clock;
  /** Another number with each call, as long as this process lives. */
  readonly nextSerial: () => number;
}

/** What was found instead of the value that was written last. `record` is undefined when nothing is there. */
export type Found =
  | { readonly isOurs: true }
  | { readonly isOurs: false; readonly record: LeaseRecord | undefined };

export class OwnRecord {
  readonly #tools: RecordTools;
  #record: LeaseRecord;
  #reading: Reading;
  #renewal: Renewal;

  private constructor(tools: RecordTools, swapped: Swapped) {
    this.#tools = tools;
    ({ record: this.#record, reading: this.#reading, renewal: this.#renewal } = swapped);
  }

  /**
   * Replaces `seen` by the first record of this process.
   *
   * @throws RivuletError `STORAGE_EXISTS` when somebody was faster; what the store throws
   */
  static async write(
    tools: RecordTools,
    seen: Reading | undefined,
    record: LeaseRecord,
    signal: AbortSignal | undefined,
  ): Promise<OwnRecord> {
    return new OwnRecord(tools, await swap(tools, seen, record, signal));
  }

  get record(): LeaseRecord {
    return this.#record;
  }

  get reading(): Reading {
    return this.#reading;
  }

  /** When the last renewal was sent, by the monotonic clock. */
  get sentMs(): number {
    return this.#renewal.sent.monotonicMs;
  }

  /** Whether nobody else can hold the lease yet, by both clocks. */
  isValid(): boolean {
    return isValid(this.#renewal, momentOf(this.#tools.clock));
  }

  /** Whether an object of that time, by the store's clock, was stored before the last renewal ran out. */
  isInTime(objectStoredAtMs: number): boolean {
    return isInTime(this.#renewal, objectStoredAtMs);
  }

  /**
   * One swap: the next value over the last one.
   *
   * @param generations - what is written from now on; the same as before when absent
   * @throws RivuletError `STORAGE_EXISTS` when another value is there: see `lookAgain`; what the store throws
   */
  async replace(
    state: LeaseState,
    generations: readonly Generation[] | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { clock, nextSerial } = this.#tools;
    const record = this.#record;
    const next = {
      ...record,
      generations: generations ?? record.generations,
      superseded: supersede(
        { record, storedAtMs: this.#reading.storedAtMs },
        generations ?? record.generations,
      ),
      state,
      serial: nextSerial(),
      renewedAtMs: clock.now(),
    };
    const swapped = await swap(this.#tools, this.#reading, next, signal);
    ({ record: this.#record, reading: this.#reading, renewal: this.#renewal } = swapped);
  }

  /** The value is not the one that was written last: either an answer to us was lost, and it is ours, or the lease was. */
  async lookAgain(signal: AbortSignal | undefined): Promise<Found> {
    const reading = await this.#tools.register.read({ signal });
    const record = reading === undefined ? undefined : decodeLease(reading.bytes);
    if (reading === undefined || record?.session !== this.#record.session) return { isOurs: false, record };
    this.#record = record;
    this.#reading = reading;
    return { isOurs: true };
  }
}

interface Swapped {
  readonly record: LeaseRecord;
  readonly reading: Reading;
  readonly renewal: Renewal;
}

async function swap(
  { register, clock }: RecordTools,
  seen: Reading | undefined,
  record: LeaseRecord,
  signal: AbortSignal | undefined,
): Promise<Swapped> {
  // The time before the request: nobody knows when it arrives.
  const sent = momentOf(clock);
  const reading = await register.swap(seen, encodeLease(record), { signal });
  return {
    record,
    reading,
    renewal: { sent, storedAtMs: reading.storedAtMs, durationMs: record.durationMs },
  };
}

function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.now() };
}
