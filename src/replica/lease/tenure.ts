/**
 * One time that this process holds the lease, from the take-over to the end: renewed or parked meanwhile, ended by a
 * loss or by a release.
 *
 *     held <--> parked        held, parked --> lost | released
 */
import { abortAfter } from '../../base/abort-after.ts';
import type { Clock } from '../../base/clock.ts';
import { isRivuletError, type RivuletError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Mutex } from '../../base/mutex.ts';
import type { LeaseRecord, LeaseState } from '../../generations/lease-record.ts';
import type { Generation } from '../../generations/names.ts';
import { upkeep } from './decide.ts';
import { contended, leaseLost, notHeld } from './lease-errors.ts';
import type { LeaseSettings } from './lease-parts.ts';
import type { OwnRecord } from './own-record.ts';
import { Renewer } from './renewer.ts';

/** Swaps that fail because an earlier answer of our own was lost; each look settles one. */
const SWAP_ATTEMPTS = 3;
/** The last word of a process does not hold up its end for longer. */
const RELEASE_MS = 2_000;

export interface TenureParts {
  readonly settings: LeaseSettings;
  /** The destination, without secrets. */
  readonly location: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** One change of the record at a time. */
  readonly mutex: Mutex;
}

export class Tenure {
  /** Counts the tenures of this process: a write belongs to one of them. */
  readonly term: number;
  readonly #own: OwnRecord;
  readonly #parts: TenureParts;
  readonly #renewer: Renewer;
  readonly #loss = new AbortController();
  #state: LeaseState | 'lost' = 'held';
  #successor: LeaseRecord | undefined;

  private constructor(term: number, own: OwnRecord, parts: TenureParts) {
    const { clock, logger, settings } = parts;
    this.term = term;
    this.#own = own;
    this.#parts = parts;
    this.#renewer = new Renewer({
      clock,
      logger,
      durationMs: settings.durationMs,
      upkeep: async (stopped) => parts.mutex.run(async () => this.#upkeep(stopped)),
      isParked: () => this.#state === 'parked',
    });
  }

  /** @param own - what the take-over wrote a moment ago */
  static begin(term: number, own: OwnRecord, parts: TenureParts): Tenure {
    const tenure = new Tenure(term, own, parts);
    tenure.#renewer.start();
    return tenure;
  }

  get state(): LeaseState | 'lost' {
    return this.#state;
  }

  get isOver(): boolean {
    return this.#state === 'lost' || this.#state === 'released';
  }

  /** Counts changes of owner. */
  get epoch(): number {
    return this.#own.record.epoch;
  }

  /** Who has taken it away; undefined while nobody has, and when the record was removed. */
  get successor(): LeaseRecord | undefined {
    return this.#successor;
  }

  /** Aborts, with `LEASE_LOST`, when the tenure ends by somebody else. */
  get lossSignal(): AbortSignal {
    return this.#loss.signal;
  }

  /**
   * Before a write: the lease is valid when this resolves, renewed if it had lapsed or was parked.
   *
   * @throws RivuletError `LEASE_LOST` when somebody else has taken it; what the store throws
   */
  async ensure(signal: AbortSignal | undefined): Promise<void> {
    this.#renewer.used();
    if (!this.#isGood()) {
      await this.#parts.mutex.run(async () => {
        if (!this.#isGood()) await this.#write('held', signal);
      });
    }
    this.#goOnRenewing();
  }

  /**
   * After a write: resolves when nobody else has held the lease since `ensure`, so that what was written counts.
   *
   * @param storedAtMs - the time of the object by the store's clock; undefined for a removal
   * @throws RivuletError `LEASE_LOST`; what the store throws: then nobody knows
   */
  async confirm(storedAtMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const isInTimeThere = storedAtMs === undefined || this.#own.isInTime(storedAtMs);
    if (this.#isGood() && isInTimeThere) return;
    await this.#parts.mutex.run(async () => this.#write('held', signal));
  }

  /**
   * Asks the destination, whatever the clocks say.
   *
   * @throws RivuletError `LEASE_LOST` when somebody else has taken it; what the store throws: then nobody knows
   */
  async requireHeld(signal: AbortSignal | undefined): Promise<void> {
    this.#renewer.used();
    await this.#parts.mutex.run(async () => this.#write('held', signal));
    this.#goOnRenewing();
  }

  /** A write goes on until the answer is called: the lease is renewed meanwhile. */
  beginWrite(): () => void {
    return this.#renewer.beginWrite();
  }

  /**
   * Says that `generation` is written from now on. Whatever was named before is superseded.
   *
   * @throws RivuletError as `ensure` does
   */
  async name(generation: Generation, signal: AbortSignal | undefined): Promise<void> {
    if (!this.isOver && this.#own.record.generations.includes(generation)) return;
    this.#renewer.used();
    await this.#parts.mutex.run(async () => this.#write('held', signal, [generation]));
    this.#goOnRenewing();
  }

  /** Lets go of the lease, so that another process can take it at once. Failing to is no error: it expires. */
  async release(): Promise<void> {
    this.#renewer.stop();
    if (this.isOver) return;
    const { clock, mutex, logger } = this.#parts;
    try {
      await abortAfter(clock, RELEASE_MS, async (late) =>
        mutex.run(async () => this.#write('released', late)),
      );
    } catch (error) {
      logger.debug('the lease could not be released; it expires by itself', { error });
    }
    if (this.#state !== 'lost') this.#state = 'released';
    this.#renewer.stop();
  }

  #isGood(): boolean {
    return this.#state === 'held' && this.#own.isValid();
  }

  #goOnRenewing(): void {
    if (this.#state === 'held') this.#renewer.start();
  }

  async #upkeep(stopped: AbortSignal): Promise<void> {
    if (stopped.aborted || this.isOver) return;
    const { clock, settings } = this.#parts;
    const what = upkeep({
      sinceRenewalMs: clock.monotonicMs() - this.#own.sentMs,
      durationMs: settings.durationMs,
      isActive: this.#renewer.isActive,
      renewAlways: settings.renew === 'always',
    });
    if (what !== 'nothing') await this.#write(what === 'park' ? 'parked' : 'held', stopped);
  }

  /** Writes the next value over the present one. Only under the mutex. @throws RivuletError `LEASE_LOST` */
  async #write(
    state: LeaseState,
    signal: AbortSignal | undefined,
    generations?: readonly Generation[],
  ): Promise<void> {
    if (this.isOver) throw this.#overError();
    if (state === 'held') this.#renewer.renewing();
    try {
      await this.#replace(state, signal, generations);
    } catch (error) {
      this.#renewer.used();
      throw error;
    }
    this.#state = state;
  }

  async #replace(
    state: LeaseState,
    signal: AbortSignal | undefined,
    generations: readonly Generation[] | undefined,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#own.replace(state, generations, signal);
        return;
      } catch (error) {
        if (!isRivuletError(error, 'STORAGE_EXISTS')) throw error;
        if (attempt === SWAP_ATTEMPTS) throw contended('renew', this.#parts.location, error);
      }
      const found = await this.#own.lookAgain(signal);
      if (!found.isOurs) throw this.#lose(found.record);
    }
  }

  #lose(successor: LeaseRecord | undefined): RivuletError {
    const { location, clock, logger } = this.#parts;
    const error = leaseLost(location, successor);
    this.#renewer.stop();
    this.#state = 'lost';
    this.#successor = successor;
    logger.debug('the lease is lost', { atMs: clock.now() });
    this.#loss.abort(error);
    return error;
  }

  #overError(): RivuletError {
    const { location } = this.#parts;
    return this.#state === 'lost' ? leaseLost(location, this.#successor) : notHeld(location);
  }
}
