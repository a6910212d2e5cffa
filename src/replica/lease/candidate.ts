/** A process that wants the lease: it reads the record, waits while another holds it, and takes over. */
import { isRivuletError, messageOf } from '../../base/errors.ts';
import { decodeLease, type LeaseRecord } from '../../generations/lease-record.ts';
import type { Generation } from '../../generations/names.ts';
import type { Reading, Register } from '../../storage/register.ts';
import { saysUnknownCondition } from './lease-errors.ts';
import type { LeaseParts, LeaseSettings } from './lease-parts.ts';
import { OwnRecord } from './own-record.ts';
import type { OwnerMemory } from './owner-memory.ts';
import { Standby, type WhyWait } from './standby.ts';
import { succeed } from './succession.ts';
import { isTrustworthy } from './trial.ts';

export interface Waiting {
  readonly kind: 'wait';
  /** Of whom is waited for. */
  readonly record: LeaseRecord;
  /** A lease that is parked, or looks expired, may be that of a dead process: whether it is, is found out, not waited for. */
  readonly mayBeDead: boolean;
  /** It should have been renewed by now, as far as the clocks can be believed. */
  readonly isSilent: boolean;
  /** Sleeps until the next attempt. Throws what `signal` says. */
  readonly standBy: (signal: AbortSignal | undefined) => Promise<void>;
}

export type Attempt =
  | { readonly kind: 'taken'; readonly own: OwnRecord }
  | Waiting
  /** Somebody was faster: look again. */
  | { readonly kind: 'overtaken' }
  /** The store cannot protect anybody; what this process wrote there is removed. */
  | { readonly kind: 'unprotected'; readonly why: string };

export interface CandidateTools {
  readonly settings: LeaseSettings;
  readonly parts: LeaseParts;
  readonly memory: OwnerMemory;
  readonly nextSerial: () => number;
}

/** For one take-over: from the wish to hold the lease until it is held. */
export class Candidate {
  readonly #tools: CandidateTools;
  readonly #standby: Standby;

  /** @param wasSuperseded - whether this process has held the lease before, and it was taken away */
  constructor(tools: CandidateTools, wasSuperseded: boolean) {
    this.#tools = tools;
    this.#standby = new Standby(tools.parts, wasSuperseded);
  }

  /** Who is waited for; undefined before the first wait. */
  get waitsFor(): LeaseRecord | undefined {
    return this.#standby.holder;
  }

  /**
   * Takes the lease if that is possible now.
   *
   * @throws RivuletError `REPLICA_INVALID` for a record that is none; what the store throws
   */
  async attempt(
    register: Register,
    generation: Generation,
    signal: AbortSignal | undefined,
  ): Promise<Attempt> {
    const reading = await register.read({ signal });
    const record = reading === undefined ? undefined : decodeLease(reading.bytes);
    if (reading !== undefined && record !== undefined) {
      const verdict = this.#standby.judge(reading, record);
      if (verdict.kind === 'wait') return this.#waiting(verdict.why, record);
      this.#standby.tellTaking(verdict.why, record);
    }
    return this.#take(register, reading, this.#firstRecord(generation, reading, record), signal);
  }

  #waiting(why: WhyWait, record: LeaseRecord): Waiting {
    const standby = this.#standby;
    const isSilent = why === 'silent';
    const mayBeDead = isSilent || (why === 'parked' && !standby.sawAlive);
    return {
      kind: 'wait',
      record,
      mayBeDead,
      isSilent,
      standBy: async (signal) => standby.wait(why, record, signal),
    };
  }

  #firstRecord(
    generation: Generation,
    reading: Reading | undefined,
    record: LeaseRecord | undefined,
  ): LeaseRecord {
    const { settings, parts, memory, nextSerial } = this.#tools;
    const { me, about, clock } = parts;
    const nowMs = clock.now();
    const hasWaited = this.#standby.holder !== undefined;
    const former = reading && record && { record, storedAtMs: reading.storedAtMs };
    return {
      ...succeed(former, { me, hasWaited, generation, lastNamed: memory.note.generation }),
      state: 'held',
      ...me,
      ...about,
      serial: nextSerial(),
      acquiredAtMs: nowMs,
      renewedAtMs: nowMs,
      durationMs: settings.durationMs,
    };
  }

  async #take(
    register: Register,
    seen: Reading | undefined,
    first: LeaseRecord,
    signal: AbortSignal | undefined,
  ): Promise<Attempt> {
    const { clock } = this.#tools.parts;
    let own: OwnRecord;
    try {
      own = await OwnRecord.write(
        { register, clock, nextSerial: this.#tools.nextSerial },
        seen,
        first,
        signal,
      );
    } catch (error) {
      if (isRivuletError(error, 'STORAGE_EXISTS')) return { kind: 'overtaken' };
      if (!saysUnknownCondition(error)) throw error;
      return { kind: 'unprotected', why: `refuses them: ${messageOf(error)}` };
    }
    return this.#tryOut(register, seen, own, signal);
  }

  /** What was taken counts only at a store that can be trusted with it. */
  async #tryOut(
    register: Register,
    before: Reading | undefined,
    own: OwnRecord,
    signal: AbortSignal | undefined,
  ): Promise<Attempt> {
    const { memory, parts } = this.#tools;
    const { location, clock } = parts;
    try {
      if (await isTrustworthy({ register, location, clock, memory }, own, before, signal)) {
        return { kind: 'taken', own };
      }
      await register.clear({ signal });
    } catch (error) {
      // Somebody else has taken it since, from a process that was frozen.
      if (isRivuletError(error, 'STORAGE_EXISTS')) return { kind: 'overtaken' };
      throw error;
    }
    return { kind: 'unprotected', why: 'does not honour them' };
  }
}
