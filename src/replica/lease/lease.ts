/**
 * At most one writer for one replica path. Whoever wants to write holds the lease: a record in a register at the
 * destination, which changes by compare-and-swap alone.
 *
 *     none --hold--> held <--ensure/upkeep--> parked
 *       |             |                         |
 *       +--> standby  +-------> lost <----------+      held, parked --release--> released
 *
 * Time only says when the holder must look again, and when somebody else may try. That nobody else has held the lease
 * in between is proven by the swap: it replaces exactly the value that this process wrote before. So a process that
 * slept past its lease finds out at its next write, whatever its clocks say.
 */
import type { Clock } from '../../base/clock.ts';
import { isRivuletError, messageOf, type RivuletError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { Mutex } from '../../base/mutex.ts';
import {
  decodeLease,
  encodeLease,
  type LeaseRecord,
  type LeaseState,
  type Superseded,
} from '../../generations/lease-record.ts';
import type { Generation } from '../../generations/names.ts';
import { settleTimes } from '../../generations/superseded.ts';
import type { Reading, Register } from '../../storage/register.ts';
import { continuesHistory, type Identity, judge, pollMs, upkeep, type Verdict } from './decide.ts';
import {
  contended,
  type Holder,
  holderOf,
  leaseHeld,
  leaseLost,
  notHeld,
  saysUnknownCondition,
  unprotected,
} from './lease-errors.ts';
import type { OwnerNote } from './owner-file.ts';
import { isInTime, isValid, marginOf, type Moment, observationMs, type Renewal } from './validity.ts';

/** What was found out about a store is believed so long; its server may be replaced by another one. */
const TRIED_FOR_MS = 7 * 24 * 3_600_000;
/** Swaps that fail because an earlier answer of our own was lost; each look settles one. */
const SWAP_ATTEMPTS = 3;
/** The last word of a process does not hold up its end for longer. */
const RELEASE_MS = 2_000;

export interface LeaseSettings {
  /** `auto` goes on without protection where the store cannot give it; `on` refuses. */
  readonly mode: 'auto' | 'on';
  readonly durationMs: number;
  readonly whenHeld: 'wait' | 'exit';
  /** `active`: only while something is uploaded; then the lease is parked. */
  readonly renew: 'active' | 'always';
}

export interface LeaseParts {
  /** Undefined where the store knows no conditional writes. Looked at anew whenever the lease is asked for: some say so late. */
  readonly register: Register | undefined;
  /** The destination, without secrets. */
  readonly location: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly me: Identity;
  /** What the record tells others about this process. */
  readonly about: Pick<LeaseRecord, 'pid' | 'database' | 'program'>;
  /** What is remembered over restarts; `write` is called when it changes. */
  readonly note: OwnerNote;
  readonly writeNote: (note: OwnerNote) => void;
}

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

interface Present {
  readonly reading: Reading;
  readonly record: LeaseRecord;
}

/** A value of somebody else that is being watched. */
interface Watch {
  readonly sinceMs: number;
  readonly version: string;
  readonly versionSinceMs: number;
  readonly sawAlive: boolean;
  /** What was said about it last. */
  readonly told: string | undefined;
}

export class Lease {
  readonly settings: LeaseSettings;
  readonly #parts: LeaseParts;
  readonly #mutex = new Mutex();
  #note: OwnerNote;
  #phase: LeasePhase = 'none';
  /** Where the present hold is kept. */
  #register: Register | undefined;
  #present: Present | undefined;
  #renewal: Renewal | undefined;
  #serial = 0;
  /** Counts the times that the lease was taken: a write belongs to one of them. */
  #term = 0;
  #loss = new AbortController();
  #other: LeaseRecord | undefined;
  #watch: Watch | undefined;
  #wasSuperseded = false;
  /** What may not be continued, because somebody else has written since. */
  #forsaken: Generation | undefined;
  #isActive = false;
  #writes = 0;
  #keeper: AbortController | undefined;

  constructor(settings: LeaseSettings, parts: LeaseParts) {
    this.settings = settings;
    this.#parts = parts;
    this.#note = parts.note;
  }

  get status(): LeaseStatus {
    const other = this.#phase === 'standby' || this.#phase === 'lost' ? this.#other : undefined;
    return { phase: this.#phase, holder: other && holderOf(other), epoch: this.#present?.record.epoch };
  }

  /** Whether a write with a condition does at this store what it says. Known once the lease is held. */
  get honoursConditions(): boolean {
    return this.#phase !== 'unprotected' && this.#phase !== 'none';
  }

  /** Aborts, with `LEASE_LOST`, when the present hold ends by somebody else. */
  get lossSignal(): AbortSignal {
    return this.#loss.signal;
  }

  // ---- taking it -------------------------------------------------------------------------------------------------

  /**
   * Takes the lease, unless it is held already. Waits as a standby while somebody else has it.
   *
   * @param generation - what will be written; named in the record
   * @param wait - false: never wait
   * @returns `begin-anew`: somebody else has written since, so that `generation` may not be continued
   * @throws RivuletError `LEASE_HELD` instead of waiting; `CONFIG_INVALID` for `mode: on` at a store that cannot do it;
   *   `REPLICA_INVALID` for a record that is none; what the store throws
   */
  async hold(generation: Generation, wait: boolean, signal?: AbortSignal): Promise<Held> {
    for (let overtaken = 0; ;) {
      signal?.throwIfAborted();
      const outcome = await this.#mutex.run(async () => this.#tryToHold(generation, signal));
      if (typeof outcome === 'string') return outcome;
      if (outcome === undefined) {
        if (++overtaken === SWAP_ATTEMPTS) throw contended('take', this.#parts.location);
        continue;
      }
      overtaken = 0;
      if (!wait || this.#mustExit(outcome)) throw leaseHeld(this.#parts.location, outcome.record);
      await this.#standBy(outcome, signal);
    }
  }

  /** A parked lease may be that of a dead process: whether it is, is found out, not waited for. */
  #mustExit({ verdict }: Waiting): boolean {
    return this.settings.whenHeld === 'exit' && (verdict.why !== 'parked' || this.#watch?.sawAlive === true);
  }

  /** @returns undefined when somebody was faster: look again */
  async #tryToHold(
    generation: Generation,
    signal: AbortSignal | undefined,
  ): Promise<Held | Waiting | undefined> {
    if (this.#phase === 'held' || this.#phase === 'parked' || this.#phase === 'unprotected') {
      return this.#forsaken === generation ? 'begin-anew' : 'go-on';
    }
    if (this.#phase === 'released') throw notHeld(this.#parts.location);
    const { register } = this.#parts;
    if (register === undefined) return this.#goWithout('knows no conditional writes');
    const reading = await register.read({ signal });
    const record = reading === undefined ? undefined : decodeLease(reading.bytes);
    if (reading !== undefined && record !== undefined) {
      const verdict = this.#judge(reading, record);
      if (verdict.kind === 'wait') return { verdict, record };
      this.#tellTaking(record, verdict.why);
    }
    return this.#take(register, generation, reading, record, signal);
  }

  #judge(reading: Reading, record: LeaseRecord): Verdict {
    const { clock, me } = this.#parts;
    const nowMs = clock.monotonicMs();
    const before = this.#watch;
    if (before?.version !== reading.version) {
      this.#watch = {
        sinceMs: before?.sinceMs ?? nowMs,
        version: reading.version,
        versionSinceMs: nowMs,
        sawAlive: before !== undefined,
        told: before?.told,
      };
    }
    const watch = this.#watch as Watch;
    return judge({
      me,
      record,
      storedAtMs: reading.storedAtMs,
      nowMs: clock.now(),
      unchangedMs: nowMs - watch.versionSinceMs,
      sawAlive: watch.sawAlive,
      wasSuperseded: this.#wasSuperseded,
    });
  }

  async #standBy({ verdict, record }: Waiting, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#parts;
    this.#other = record;
    if (this.#phase === 'none') this.#phase = 'standby';
    const watch = this.#watch as Watch;
    const what = `${verdict.why} ${record.session}`;
    if (watch.told !== what) this.#tellWaiting(verdict.why, record);
    this.#watch = { ...watch, told: what };
    const waitMs = pollMs(record.durationMs, clock.monotonicMs() - watch.sinceMs);
    const leftMs = observationMs(record.durationMs) - (clock.monotonicMs() - watch.versionSinceMs);
    await clock.sleep(leftMs > 0 ? Math.min(waitMs, leftMs) : waitMs, signal);
  }

  #tellWaiting(why: Extract<Verdict, { kind: 'wait' }>['why'], record: LeaseRecord): void {
    const { logger, location } = this.#parts;
    const fields = { destination: location, ...holderOf(record) };
    if (why === 'held') {
      logger.info('another process writes to this replica; waiting as a standby', fields);
    } else if (why === 'superseded') {
      logger.info('this process writes again when the other one has let go of the replica', fields);
    } else if (this.#watch?.sawAlive === true) {
      logger.info('the other writer is idle; waiting until it lets go of the replica', {
        ...fields,
        help: 'If it does not run any more, restart this process to take over.',
      });
    } else {
      logger.info('an idle process holds this replica; looking whether it is alive', {
        ...fields,
        forMs: observationMs(record.durationMs),
      });
    }
  }

  #tellTaking(record: LeaseRecord, why: Extract<Verdict, { kind: 'take' }>['why']): void {
    const { logger, location } = this.#parts;
    const fields = { destination: location, ...holderOf(record) };
    if (why === 'expired') logger.warn('the lease of another process has expired; taking over', fields);
    if (why === 'idle') {
      logger.warn('an idle process gave no sign of life; taking over from it', {
        ...fields,
        idleSince: new Date(record.renewedAtMs).toISOString(),
        help: 'If it runs, stop it: what it writes from now on is not stored.',
      });
    }
  }

  async #take(
    register: Register,
    generation: Generation,
    reading: Reading | undefined,
    former: LeaseRecord | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Held | undefined> {
    const next = this.#firstRecord(generation, reading, former);
    const sent = this.#moment();
    this.#register = register;
    try {
      await this.#swap(register, reading, next, sent, signal);
    } catch (error) {
      if (isRivuletError(error, 'STORAGE_EXISTS')) return undefined;
      if (saysUnknownCondition(error)) return this.#goWithout(`refuses them: ${messageOf(error)}`);
      throw error;
    }
    try {
      if (!(await this.#isTried(register, reading, signal))) {
        await register.clear({ signal });
        return this.#goWithout('does not honour them');
      }
    } catch (error) {
      this.#present = undefined;
      // Somebody else has taken it since, from a process that was frozen: look again.
      if (isRivuletError(error, 'STORAGE_EXISTS')) return undefined;
      throw error;
    }
    const waited = this.#phase !== 'none';
    this.#phase = 'held';
    this.#forsaken = next.generations.length > 0 ? undefined : generation;
    this.#term++;
    this.#loss = new AbortController();
    this.#watch = undefined;
    this.#wasSuperseded = false;
    this.#rememberGeneration(next.generations[0]);
    if (!waited) this.#parts.logger.debug('holds the lease', { epoch: next.epoch });
    else this.#parts.logger.info('this process is the writer of the replica now', { epoch: next.epoch });
    this.#startUpkeep();
    return this.#forsaken === undefined ? 'go-on' : 'begin-anew';
  }

  #firstRecord(
    generation: Generation,
    reading: Reading | undefined,
    former: LeaseRecord | undefined,
  ): LeaseRecord {
    const { me, about, clock } = this.#parts;
    const nowMs = clock.now();
    const generations = former === undefined || this.#goesOn(former, generation) ? [generation] : [];
    const isSameOwner = former !== undefined && continuesHistory(former, me);
    return {
      epoch: former === undefined ? 1 : former.epoch + (isSameOwner ? 0 : 1),
      state: 'held',
      ...me,
      ...about,
      serial: ++this.#serial,
      acquiredAtMs: nowMs,
      renewedAtMs: nowMs,
      durationMs: this.settings.durationMs,
      generations,
      superseded:
        former === undefined
          ? []
          : supersede(former, reading?.storedAtMs ?? nowMs, generations, [...former.generations, generation]),
    };
  }

  /** What was superseded once stays so, also by a swap of our own whose answer was lost. */
  #goesOn(former: LeaseRecord, generation: Generation): boolean {
    if (former.superseded.some((one) => one.generation === generation)) return false;
    return continuesHistory(former, this.#parts.me) || !this.#isKnownTo(former, generation);
  }

  /** Whether `generation` may hold objects that its present owner, or anybody before, took for superseded. */
  #isKnownTo(former: LeaseRecord, generation: Generation): boolean {
    const named = [...former.generations, ...former.superseded.map((one) => one.generation)];
    return named.includes(generation) || this.#note.generation === generation;
  }

  /** Whether the store really refuses what it must; asked for once in a while. */
  async #isTried(
    register: Register,
    gone: Reading | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { location, clock } = this.#parts;
    const { tried } = this.#note;
    const ageMs = tried === undefined ? Number.POSITIVE_INFINITY : Math.abs(clock.now() - tried.atMs);
    if (tried?.location === location && ageMs < TRIED_FOR_MS) return true;
    let before = gone;
    if (before === undefined) {
      before = this.#requirePresent().reading;
      try {
        const next = this.#next('held', {});
        await this.#swap(register, before, next, this.#moment(), signal);
      } catch (error) {
        if (saysUnknownCondition(error)) return false;
        throw error;
      }
    }
    const { reading } = this.#present as Present;
    if (!(await register.honoursConditions(reading, before, { signal }))) return false;
    this.#remember({ tried: { location, atMs: clock.now() } });
    return true;
  }

  #goWithout(why: string): Held {
    const { location, logger } = this.#parts;
    this.#present = undefined;
    if (this.settings.mode === 'on') throw unprotected(location, why);
    this.#phase = 'unprotected';
    this.#loss = new AbortController();
    logger.warn('nothing protects this replica from a second writer: make sure that there is one only', {
      destination: location,
      why: `conditional writes: the destination ${why}`,
    });
    return 'go-on';
  }

  // ---- keeping it ------------------------------------------------------------------------------------------------

  /**
   * Before a write: the lease is valid when this resolves, renewed if it had lapsed or was parked.
   *
   * @returns the hold that the write belongs to, for `confirm`
   * @throws RivuletError `LEASE_LOST` when somebody else has taken it; what the store throws
   */
  async ensure(signal?: AbortSignal): Promise<number> {
    if (this.#phase === 'unprotected') return this.#term;
    this.#isActive = true;
    if (!this.#isGood()) {
      await this.#mutex.run(async () => {
        if (!this.#isGood()) await this.#write('held', {}, signal);
      });
    }
    this.#startUpkeep();
    return this.#term;
  }

  /**
   * After a write: resolves when nobody else has held the lease since `ensure`, so that what was written counts.
   *
   * @param term - what `ensure` gave
   * @param storedAtMs - the time of the object by the store's clock; undefined for a removal
   * @throws RivuletError `LEASE_LOST`; what the store throws: then nobody knows
   */
  async confirm(term: number, storedAtMs: number | undefined, signal?: AbortSignal): Promise<void> {
    if (this.#phase === 'unprotected') return;
    if (term !== this.#term) throw leaseLost(this.#parts.location, this.#other);
    const isInTimeThere =
      storedAtMs === undefined || this.#renewal === undefined || isInTime(this.#renewal, storedAtMs);
    if (this.#isGood() && isInTimeThere) return;
    await this.#mutex.run(async () => this.#write('held', {}, signal));
    if (term !== this.#term) throw leaseLost(this.#parts.location, this.#other);
  }

  /**
   * Asks the destination, whatever the clocks say: a paused machine may stop both of them.
   *
   * @throws RivuletError `LEASE_LOST` when somebody else has taken it; what the store throws: then nobody knows
   */
  async requireHeld(signal?: AbortSignal): Promise<void> {
    if (this.#phase === 'unprotected') return;
    this.#isActive = true;
    await this.#mutex.run(async () => this.#write('held', {}, signal));
    this.#startUpkeep();
  }

  /** A write goes on until the answer is called: the lease is renewed meanwhile. */
  beginWrite(): () => void {
    this.#writes++;
    return () => void this.#writes--;
  }

  /**
   * Says that `generation` is written from now on, before its first object is. Whatever was named before is superseded.
   *
   * @throws RivuletError as `ensure` does
   */
  async name(generation: Generation, signal?: AbortSignal): Promise<void> {
    if (this.#phase === 'unprotected' || this.#present?.record.generations.includes(generation) === true)
      return;
    this.#isActive = true;
    await this.#mutex.run(async () => {
      const present = this.#requirePresent();
      const generations = [generation];
      const { record, reading } = present;
      const superseded = supersede(record, reading.storedAtMs, generations, record.generations);
      await this.#write('held', { generations, superseded }, signal);
    });
    this.#rememberGeneration(generation);
    this.#startUpkeep();
  }

  /** Lets go of the lease, so that another process can take it at once. Failing to is no error: it expires. */
  async release(): Promise<void> {
    this.#stopUpkeep();
    const wasHeld = this.#phase === 'held' || this.#phase === 'parked';
    if (!wasHeld) return;
    try {
      await this.#within(RELEASE_MS, async (late) =>
        this.#mutex.run(async () => this.#write('released', {}, late)),
      );
    } catch (error) {
      this.#parts.logger.debug('the lease could not be released; it expires by itself', { error });
    }
    if (this.#phase !== 'lost') this.#phase = 'released';
    this.#stopUpkeep();
  }

  async #within(ms: number, work: (late: AbortSignal) => Promise<void>): Promise<void> {
    const done = new AbortController();
    const late = new AbortController();
    void this.#parts.clock.sleep(ms, done.signal).then(
      () => late.abort(),
      () => undefined,
    );
    await work(late.signal).finally(() => done.abort());
  }

  #isGood(): boolean {
    return this.#phase === 'held' && this.#renewal !== undefined && isValid(this.#renewal, this.#moment());
  }

  /** Writes the next value over the present one. Only under the mutex. @throws RivuletError `LEASE_LOST` */
  async #write(
    state: LeaseState,
    change: Partial<Pick<LeaseRecord, 'generations' | 'superseded'>>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const register = this.#register as Register;
    for (let attempt = 1; ; attempt++) {
      const { reading } = this.#requirePresent();
      const next = this.#next(state, change);
      const sent = this.#moment();
      this.#isActive = this.#isActive && state !== 'held';
      try {
        await this.#swap(register, reading, next, sent, signal);
      } catch (error) {
        this.#isActive = true;
        if (!isRivuletError(error, 'STORAGE_EXISTS')) throw error;
        if (attempt === SWAP_ATTEMPTS) throw contended('renew', this.#parts.location, error);
        await this.#lookAgain(register, signal);
        continue;
      }
      this.#phase = state;
      return;
    }
  }

  #next(state: LeaseState, change: Partial<Pick<LeaseRecord, 'generations' | 'superseded'>>): LeaseRecord {
    const { record, reading } = this.#requirePresent();
    return {
      ...record,
      superseded: settleTimes(record, reading.storedAtMs),
      ...change,
      state,
      serial: ++this.#serial,
      renewedAtMs: this.#parts.clock.now(),
    };
  }

  async #swap(
    register: Register,
    seen: Reading | undefined,
    record: LeaseRecord,
    sent: Moment,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const reading = await register.swap(seen, encodeLease(record), { signal });
    this.#present = { reading, record };
    this.#renewal = { sent, storedAtMs: reading.storedAtMs, durationMs: record.durationMs };
  }

  /** The value is not the one that we wrote last: either an answer to us was lost, or the lease was. */
  async #lookAgain(register: Register, signal: AbortSignal | undefined): Promise<void> {
    const reading = await register.read({ signal });
    const record = reading === undefined ? undefined : decodeLease(reading.bytes);
    if (reading === undefined || record === undefined || record.session !== this.#parts.me.session) {
      throw this.#lose(record);
    }
    this.#present = { reading, record };
  }

  #lose(record: LeaseRecord | undefined): RivuletError {
    const error = leaseLost(this.#parts.location, record);
    const { clock } = this.#parts;
    this.#stopUpkeep();
    this.#phase = 'lost';
    this.#other = record;
    this.#present = undefined;
    this.#renewal = undefined;
    this.#wasSuperseded = true;
    this.#watch = undefined;
    this.#parts.logger.debug('the lease is lost', { atMs: clock.now() });
    this.#loss.abort(error);
    return error;
  }

  #requirePresent(): Present {
    if (this.#present !== undefined && this.#phase !== 'released') return this.#present;
    throw this.#phase === 'lost'
      ? leaseLost(this.#parts.location, this.#other)
      : notHeld(this.#parts.location);
  }

  // ---- upkeep ----------------------------------------------------------------------------------------------------

  /** Renews in the background while something is written; then parks the lease, and makes no request any more. */
  #startUpkeep(): void {
    if (this.#keeper !== undefined || this.#phase !== 'held') return;
    this.#keeper = new AbortController();
    void this.#keepUp(this.#keeper.signal);
  }

  #stopUpkeep(): void {
    this.#keeper?.abort();
    this.#keeper = undefined;
  }

  /** Never rejects. */
  async #keepUp(stopped: AbortSignal): Promise<void> {
    const { clock, logger } = this.#parts;
    const stepMs = this.settings.durationMs / 3;
    let waitMs = stepMs;
    while (!stopped.aborted) {
      await clock.sleep(waitMs, stopped).catch(() => undefined);
      if (stopped.aborted) return;
      try {
        await this.#mutex.run(async () => this.#upkeep(stopped));
        waitMs = stepMs;
      } catch (error) {
        if (stopped.aborted || this.#phase === 'lost') return;
        // A write finds the lease lapsed and says what is wrong.
        logger.debug('the lease could not be renewed; trying again', { error });
        waitMs = marginOf(this.settings.durationMs) / 2;
      }
      if (this.#phase === 'parked' && !this.#isActive && this.#writes === 0) return this.#stopUpkeep();
    }
  }

  async #upkeep(stopped: AbortSignal): Promise<void> {
    if (stopped.aborted || (this.#phase !== 'held' && this.#phase !== 'parked')) return;
    const sentMs = this.#renewal?.sent.monotonicMs ?? Number.NEGATIVE_INFINITY;
    const what = upkeep({
      sinceRenewalMs: this.#parts.clock.monotonicMs() - sentMs,
      durationMs: this.settings.durationMs,
      isActive: this.#isActive || this.#writes > 0,
      renewAlways: this.settings.renew === 'always',
    });
    if (what !== 'nothing') await this.#write(what === 'park' ? 'parked' : 'held', {}, stopped);
  }

  // ---- small things ----------------------------------------------------------------------------------------------

  #moment(): Moment {
    const { clock } = this.#parts;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.now() };
  }

  #rememberGeneration(generation: Generation | undefined): void {
    if (generation !== undefined && generation !== this.#note.generation) this.#remember({ generation });
  }

  #remember(change: Partial<OwnerNote>): void {
    this.#note = { ...this.#note, ...change };
    this.#parts.writeNote(this.#note);
  }
}

interface Waiting {
  readonly verdict: Extract<Verdict, { kind: 'wait' }>;
  readonly record: LeaseRecord;
}

/** What ended, when `generations` are written from now on: what ended before, and what else was `written`. */
function supersede(
  former: LeaseRecord,
  storedAtMs: number,
  generations: readonly Generation[],
  written: readonly Generation[],
): readonly Superseded[] {
  const before = settleTimes(former, storedAtMs);
  const known = new Set([...generations, ...before.map(({ generation }) => generation)]);
  const ended = [...new Set(written)].filter((generation) => !known.has(generation));
  return [
    ...before.filter(({ generation }) => !generations.includes(generation)),
    ...ended.map((generation) => ({ generation, atMs: undefined })),
  ];
}
