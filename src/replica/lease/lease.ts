/**
 * At most one writer for one replica path. Whoever wants to write holds the lease: a record in a register at the
 * destination, which changes by compare-and-swap alone.
 *
 *     none --hold--> held <--ensure/upkeep--> parked
 *       |             |                         |
 *       +--> standby  +-------> lost <----------+      held, parked --release--> released
 *
 * Until it is held this process is a candidate (`candidate.ts`); each time that it holds the lease is a tenure
 * (`tenure.ts`); after a loss it is a candidate again.
 *
 * Time only says when the holder must look again, and when somebody else may try. That nobody else has held the lease
 * in between is proven by the swap: it replaces exactly the value that this process wrote before. So a process that
 * slept past its lease finds out at its next write, whatever its clocks say.
 */
import { Mutex } from '../../base/mutex.ts';
import type { LeaseRecord } from '../../generations/lease-record.ts';
import type { Generation } from '../../generations/names.ts';
import { type Attempt, Candidate, type Waiting } from './candidate.ts';
import {
  contended,
  type Holder,
  holderOf,
  leaseHeld,
  leaseLost,
  notHeld,
  unprotected,
} from './lease-errors.ts';
import type { LeaseParts, LeaseSettings } from './lease-parts.ts';
import type { OwnRecord } from './own-record.ts';
import { OwnerMemory } from './owner-memory.ts';
import { Tenure } from './tenure.ts';

export type { LeaseSettings } from './lease-parts.ts';

/** Somebody was faster; who looks again finds the lease held. More often than so, the store tells of different values. */
const OVERTAKEN_MAX = 3;

export type LeasePhase = 'none' | 'held' | 'parked' | 'standby' | 'lost' | 'released' | 'unprotected';

export interface LeaseStatus {
  readonly phase: LeasePhase;
  /** Who holds it, when that is somebody else. */
  readonly holder: Holder | undefined;
  /** Counts changes of owner; undefined when this process does not hold it. */
  readonly epoch: number | undefined;
}

/** What a writer whose lease was taken learns about its present generation. */
export type Held = 'go-on' | 'begin-anew';

/** Whether to wait while another process holds the lease. */
export type Wait = boolean | 'while-silent';

function isWaitedFor({ isSilent }: Waiting, wait: Wait): boolean {
  return wait === 'while-silent' ? isSilent : wait;
}

export class Lease {
  readonly settings: LeaseSettings;
  readonly #parts: LeaseParts;
  readonly #memory: OwnerMemory;
  readonly #mutex = new Mutex();
  readonly #neverLost = new AbortController().signal;
  /** For the take-over that comes next. */
  #candidate: Candidate;
  /** The last one; undefined when there was none. */
  #tenure: Tenure | undefined;
  #terms = 0;
  #serial = 0;
  #isUnprotected = false;
  /** Who held it before the last tenure, as far as this process came to know it. */
  #formerHolder: LeaseRecord | undefined;
  /** What may not be continued, because somebody else has written since. */
  #forsaken: Generation | undefined;

  constructor(settings: LeaseSettings, parts: LeaseParts) {
    this.settings = settings;
    this.#parts = parts;
    this.#memory = new OwnerMemory(parts.note, parts.writeNote);
    this.#candidate = this.#newCandidate(false);
  }

  #newCandidate(wasSuperseded: boolean): Candidate {
    const tools = {
      settings: this.settings,
      parts: this.#parts,
      memory: this.#memory,
      nextSerial: () => ++this.#serial,
    };
    return new Candidate(tools, wasSuperseded);
  }

  get status(): LeaseStatus {
    const phase = this.#phase;
    const isOthers = phase === 'standby' || phase === 'lost';
    const other = this.#other;
    const isHeld = phase === 'held' || phase === 'parked';
    return {
      phase,
      holder: isOthers && other !== undefined ? holderOf(other) : undefined,
      epoch: isHeld ? this.#tenure?.epoch : undefined,
    };
  }

  get #other(): LeaseRecord | undefined {
    return this.#candidate.waitsFor ?? this.#tenure?.successor;
  }

  get #phase(): LeasePhase {
    if (this.#isUnprotected) return 'unprotected';
    if (this.#tenure !== undefined) return this.#tenure.state;
    return this.#candidate.waitsFor === undefined ? 'none' : 'standby';
  }

  /** Whether a write with a condition does at this store what it says. Known once the lease is held. */
  get honoursConditions(): boolean {
    const phase = this.#phase;
    return phase !== 'unprotected' && phase !== 'none';
  }

  /** Aborts, with `LEASE_LOST`, when the present hold ends by somebody else. */
  get lossSignal(): AbortSignal {
    return this.#isUnprotected ? this.#neverLost : (this.#tenure?.lossSignal ?? this.#neverLost);
  }

  /**
   * Takes the lease, unless it is held already. Waits as a standby while somebody else has it.
   *
   * @param generation - what will be written; named in the record
   * @param wait - false: never wait; `while-silent`: only until a lease that looks expired has shown whether it is
   * @returns `begin-anew`: somebody else has written since, so that `generation` may not be continued
   * @throws RivuletError `LEASE_HELD` instead of waiting; `CONFIG_INVALID` for `mode: on` at a store that cannot do it;
   *   `REPLICA_INVALID` for a record that is none; `LEASE_LOST` after `release`; what the store throws
   */
  async hold(generation: Generation, wait: Wait, signal?: AbortSignal): Promise<Held> {
    for (let overtaken = 0; ;) {
      signal?.throwIfAborted();
      const outcome = await this.#mutex.run(async () => this.#tryToHold(generation, signal));
      if (typeof outcome === 'string') return outcome;
      if (outcome.kind === 'overtaken') {
        if (++overtaken === OVERTAKEN_MAX) throw contended('take', this.#parts.location);
        continue;
      }
      overtaken = 0;
      if (!isWaitedFor(outcome, wait) || this.#mustExit(outcome))
        throw leaseHeld(this.#parts.location, outcome.record);
      await outcome.standBy(signal);
    }
  }

  #mustExit({ mayBeDead }: Waiting): boolean {
    return this.settings.whenHeld === 'exit' && !mayBeDead;
  }

  async #tryToHold(
    generation: Generation,
    signal: AbortSignal | undefined,
  ): Promise<Held | Extract<Attempt, { kind: 'wait' | 'overtaken' }>> {
    if (this.#isUnprotected || this.#tenure?.isOver === false) {
      return this.#forsaken === generation ? 'begin-anew' : 'go-on';
    }
    if (this.#tenure?.state === 'released') throw notHeld(this.#parts.location);
    const { register } = this.#parts;
    if (register === undefined) return this.#goWithout('knows no conditional writes');
    const attempt = await this.#candidate.attempt(register, generation, signal);
    if (attempt.kind === 'taken') return this.#begin(attempt.own, generation);
    return attempt.kind === 'unprotected' ? this.#goWithout(attempt.why) : attempt;
  }

  #begin(own: OwnRecord, generation: Generation): Held {
    const { settings } = this;
    const { location, clock, logger } = this.#parts;
    const { epoch, generations } = own.record;
    const isFirstTry = this.#phase === 'none';
    this.#forsaken = generations.length > 0 ? undefined : generation;
    if (this.#forsaken === undefined) this.#memory.rememberGeneration(generation);
    this.#formerHolder = this.#other;
    this.#tenure = Tenure.begin(++this.#terms, own, {
      settings,
      location,
      clock,
      logger,
      mutex: this.#mutex,
    });
    // Whoever has to take it again has lost it.
    this.#candidate = this.#newCandidate(true);
    if (isFirstTry) logger.debug('holds the lease', { epoch });
    else logger.info('this process is the writer of the replica now', { epoch });
    return this.#forsaken === undefined ? 'go-on' : 'begin-anew';
  }

  #goWithout(why: string): Held {
    const { location, logger } = this.#parts;
    if (this.settings.mode === 'on') throw unprotected(location, why);
    this.#isUnprotected = true;
    logger.warn('nothing protects this replica from a second writer: make sure that there is one only', {
      destination: location,
      why: `conditional writes: the destination ${why}`,
    });
    return 'go-on';
  }

  /**
   * Before a write: the lease is valid when this resolves, renewed if it had lapsed or was parked.
   *
   * @returns the hold that the write belongs to, for `confirm`
   * @throws RivuletError `LEASE_LOST` when somebody else has taken it; what the store throws
   */
  async ensure(signal?: AbortSignal): Promise<number> {
    if (this.#isUnprotected) return this.#terms;
    const tenure = this.#requireTenure();
    await tenure.ensure(signal);
    return tenure.term;
  }

  /**
   * After a write: resolves when nobody else has held the lease since `ensure`, so that what was written counts.
   *
   * @param term - what `ensure` gave
   * @param storedAtMs - the time of the object by the store's clock; undefined for a removal
   * @throws RivuletError `LEASE_LOST`; what the store throws: then nobody knows
   */
  async confirm(term: number, storedAtMs: number | undefined, signal?: AbortSignal): Promise<void> {
    if (this.#isUnprotected) return;
    const tenure = this.#requireTenure();
    if (term !== tenure.term) throw leaseLost(this.#parts.location, this.#formerHolder);
    await tenure.confirm(storedAtMs, signal);
  }

  /**
   * Asks the destination, whatever the clocks say: a paused machine may stop both of them.
   *
   * @throws RivuletError `LEASE_LOST` when somebody else has taken it; what the store throws: then nobody knows
   */
  async requireHeld(signal?: AbortSignal): Promise<void> {
    if (!this.#isUnprotected) await this.#requireTenure().requireHeld(signal);
  }

  /** A write goes on until the answer is called: the lease is renewed meanwhile. */
  beginWrite(): () => void {
    return this.#tenure?.beginWrite() ?? (() => undefined);
  }

  /**
   * Says that `generation` is written from now on, before its first object is. Whatever was named before is superseded.
   *
   * @throws RivuletError as `ensure` does
   */
  async name(generation: Generation, signal?: AbortSignal): Promise<void> {
    if (this.#isUnprotected) return;
    await this.#requireTenure().name(generation, signal);
    this.#memory.rememberGeneration(generation);
  }

  /** Lets go of the lease, so that another process can take it at once. Failing to is no error: it expires. */
  async release(): Promise<void> {
    await this.#tenure?.release();
  }

  #requireTenure(): Tenure {
    if (this.#tenure === undefined) throw notHeld(this.#parts.location);
    return this.#tenure;
  }
}
