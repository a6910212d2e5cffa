/**
 * What a destination needs beside the shipping: snapshots, retention, validation. One duty at a time, started when the
 * schedule says so, going on while segments are shipped.
 */
import type { Clock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import { type Files, systemFiles } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { SignalEvent } from '../base/signal-event.ts';
import { otherWriters } from '../generations/other-writers.ts';
import {
  comparePositions,
  formatIndex,
  type Generation,
  type Position,
  snapshotKey,
} from '../generations/names.ts';
import { positionOf } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import type { Snapshot } from '../primary/snapshot-source.ts';
import { isThere } from '../storage/is-there.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { DutyFailures } from './duty-failures.ts';
import type { ReplicaObserver } from './replica-observer.ts';
import { enforceRetention } from './retention.ts';
import {
  type Duty,
  type DutyKind,
  nextDuty,
  notAhead,
  retentionDueAtMs,
  type Schedule,
  type ScheduleSettings,
  snapshotDueAtMs,
} from './schedule.ts';
import type { Session } from './session.ts';
import type { StoreClock } from './store-clock.ts';
import type { HeldSnapshot } from './stored-note.ts';
import { uploadOpened } from './upload-opened.ts';
import { uploadSnapshot } from './upload-snapshot.ts';
import { Prover, type VerifySettings } from './prover.ts';
import type { NotedError, ProofStatus } from './replica-status.ts';
import { readValidatedAt, writeValidatedAt } from './validation.ts';

const NO_PROOFS: VerifySettings = { intervalMs: 0, quickIntervalMs: 0, maxSizeBytes: 0 };

export interface DutySettings extends Omit<ScheduleSettings, 'quickProofIntervalMs' | 'fullProofIntervalMs'> {
  readonly name: string;
  /** How what is stored is proven; not at all when absent. */
  readonly verify?: VerifySettings;
  /** Listings tell the sizes of encrypted objects, which are not those of their content. */
  readonly isEncrypted?: boolean;
  /** Directory for temporary databases and small notes; belongs to Rivulet. */
  readonly metaPath: string;
  /** The destination takes a snapshot about as fast as a disk: no copy is made for it first where nothing is committed. */
  readonly isFast?: boolean;
}

export interface DutyParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: ReplicaObserver;
  /** Where notes are kept; this machine's when absent. */
  readonly files?: Files;
  /** The session that goes on now: a duty that was started for another one ends. */
  readonly session: () => Session | undefined;
  readonly storeClock: StoreClock;
  /** Awaited before anything is removed: what must be kept is marked by then, or the attempt fails. */
  readonly beforeRetention?: (signal: AbortSignal | undefined) => Promise<void>;
  /** A snapshot is stored. */
  readonly onStored?: (snapshot: HeldSnapshot) => void;
  /** Rejects with `LEASE_LOST` when somebody else has become the writer. */
  readonly stillWriter?: (signal: AbortSignal | undefined) => Promise<void>;
}

export class Duties {
  readonly #settings: DutySettings;
  readonly #parts: DutyParts;
  readonly #failures: DutyFailures;
  readonly #progress = new SignalEvent();
  #schedule: Schedule;
  #underWay: Promise<void> | undefined;
  readonly #othersTold = new Set<Generation>();
  readonly #prover: Prover;
  readonly #files: Files;
  #session: Session | undefined;
  /** When the first session was seen, in milliseconds since 1970. */
  #begunAtMs: number | undefined;
  /** A snapshot that was sent and failed: the answer may have been lost, and the whole of it may be there. */
  #unheard: { readonly generation: Generation; readonly index: number } | undefined;

  constructor(settings: DutySettings, parts: DutyParts) {
    this.#settings = settings;
    this.#parts = parts;
    const files = parts.files ?? systemFiles;
    this.#files = files;
    this.#schedule = {
      snapshotAtMs: undefined,
      retentionCheckedAtMs: undefined,
      retentionIsIdle: false,
      validatedAtMs: readValidatedAt(files, settings.metaPath, settings.name) ?? parts.clock.now(),
    };
    const { clock, logger, observer } = parts;
    this.#failures = new DutyFailures({
      clock,
      logger,
      observer: { onFailure: (error) => observer.onFailure(error), onRecovery: () => undefined },
    });
    const { verify = NO_PROOFS, isEncrypted = false } = settings;
    this.#prover = new Prover({ ...settings, verify, isEncrypted }, { ...parts, files });
  }

  /** How the last proof ended; undefined before the first one. */
  get proof(): ProofStatus | undefined {
    return this.#prover.status;
  }

  /** The duty that goes on now; never rejects. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** What was thrown by the duties that have failed and not succeeded since. */
  get failures(): readonly unknown[] {
    return this.#failures.errors;
  }

  /** What went wrong with each duty last. */
  get lastErrors(): readonly NotedError[] {
    return this.#failures.last;
  }

  /** Everything that was stored there is gone. @param message - what is told of it */
  emptied(message: string): void {
    this.#prover.emptied(message);
  }

  /** The destination's newest snapshot is from then (milliseconds since 1970). */
  snapshotIsFrom(createdAtMs: number): void {
    this.#schedule = { ...this.#schedule, snapshotAtMs: createdAtMs, retentionIsIdle: false };
  }

  /** A segment has been stored: what waits for it goes on, and something may expire one day. */
  segmentStored(): void {
    this.#schedule = { ...this.#schedule, retentionIsIdle: false };
    this.#prover.stored();
    this.#progress.fire();
  }

  /** The session has ended: what waits for its segments gives up. */
  sessionEnded(): void {
    this.#progress.fire();
  }

  /** When the next duty is due, in milliseconds since 1970; undefined while one is under way or none will be. */
  nextAtMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** For how long retention should have been enforced and was not; 0 while that is on time, or nothing is to be removed. */
  get retentionOverdueMs(): number {
    const { clock } = this.#parts;
    if (this.#session === undefined || this.#prover.isBroken) return 0;
    const schedule = {
      ...this.#schedule,
      retentionCheckedAtMs: this.#schedule.retentionCheckedAtMs ?? this.#begunAtMs,
    };
    const dueAtMs = retentionDueAtMs(schedule, this.#settings);
    return dueAtMs === undefined ? 0 : Math.max(0, clock.now() - dueAtMs);
  }

  /** When the next snapshot is due, if anything new was written by then; undefined when none will be. */
  get snapshotDueAtMs(): number | undefined {
    return snapshotDueAtMs(this.#schedule, this.#settings);
  }

  #next(): Duty | undefined {
    const session = this.#parts.session();
    if (session === undefined || this.#underWay !== undefined) return undefined;
    if (session !== this.#session) this.#begin(session);
    const nowMs = this.#parts.clock.now();
    this.#schedule = notAhead(this.#schedule, nowMs);
    this.#prover.notAhead(nowMs);
    const { newsSinceMs, lookedAtMs, hasNewsSinceFull, isBroken } = this.#prover;
    const { verify = NO_PROOFS } = this.#settings;
    return nextDuty(
      { ...this.#schedule, newsSinceMs, lookedAtMs, hasNewsSinceFull, isBroken, waits: this.#failures.waits },
      {
        ...this.#settings,
        quickProofIntervalMs: verify.quickIntervalMs,
        fullProofIntervalMs: verify.intervalMs,
      },
      positionOf(session.cursor).index > session.snapshotIndex,
    );
  }

  #begin(session: Session): void {
    this.#session = session;
    this.#begunAtMs ??= this.#parts.clock.now();
    this.#prover.begin(session);
    const { metaPath, name } = this.#settings;
    // Counted from the very first start on, however often there is a restart.
    if (this.#isValidated && readValidatedAt(this.#files, metaPath, name) === undefined)
      writeValidatedAt(this.#files, metaPath, name, this.#schedule.validatedAtMs);
  }

  get #isValidated(): boolean {
    const { validationIntervalMs = 0, verify = NO_PROOFS } = this.#settings;
    return validationIntervalMs > 0 || verify.intervalMs > 0;
  }

  /** Starts what is due. */
  start(signal: AbortSignal | undefined): void {
    const session = this.#parts.session();
    const duty = this.#next();
    if (session === undefined || duty === undefined || duty.atMs > this.#parts.clock.now()) return;
    this.#underWay = this.#perform(duty.kind, session, signal)
      .catch((error: unknown) => {
        if (signal?.aborted !== true && this.#parts.session() === session)
          this.#failed(duty.kind, session, error);
      })
      .finally(() => {
        this.#underWay = undefined;
      });
  }

  async #perform(kind: DutyKind, session: Session, signal: AbortSignal | undefined): Promise<void> {
    if (kind === 'snapshot') await this.#renewSnapshot(session, signal);
    else if (kind === 'retention') await this.#enforceRetention(session, signal);
    else if (kind === 'validation') await this.#proveFully(session, signal);
    else await this.#prove(session, signal);
    this.#failures.succeeded(kind);
  }

  #failed(kind: DutyKind, session: Session, error: unknown): void {
    // The database is gone, or is another one, and the shipping has not seen it yet: nobody needs to be told, but the
    // duty stays due until then and must not be tried again at once.
    const isTold = this.#parts.primary.generation === session.generation;
    if (isTold) this.#parts.observer.onDutyFailed?.(kind);
    this.#failures.failed(kind, error, isTold);
  }

  /** The snapshot may only appear when the log before its position has been shipped. */
  async #takeSnapshot(session: Session, signal: AbortSignal | undefined): Promise<void> {
    // The database may have been replaced since the last look of this destination, which was away.
    const { generation } = session;
    let index = 0;
    const open = async (isLive: boolean): Promise<Snapshot> =>
      this.#parts.primary.openSnapshot({ wanted: generation, isLive, signal });
    const upload = async (snapshot: Snapshot): Promise<void> => {
      const stored = async (): Promise<void> => {
        await this.#confirmedThrough(session, snapshot.position, signal);
      };
      index = snapshot.position.index;
      this.#unheard = { generation, index };
      await this.upload(generation, snapshot, stored, signal);
    };
    try {
      await uploadOpened(this.#settings.isFast === true, open, upload);
    } catch (error) {
      if (!isRivuletError(error, 'STORAGE_EXISTS')) throw error;
      // The answer to an earlier attempt was lost. It is this generation's own, so it is as good as a new one.
      this.#parts.logger.info('the snapshot is there already', {
        index: formatIndex(index),
      });
      this.snapshotIsFrom(this.#parts.clock.now());
    }
    session.snapshotIndex = index;
    this.#unheard = undefined;
  }

  async #renewSnapshot(session: Session, signal: AbortSignal | undefined): Promise<void> {
    if (!(await this.#hasArrived(session, signal))) await this.#takeSnapshot(session, signal);
  }

  /** Whether the one before, which is said to have failed, is there: then no other is due so soon. */
  async #hasArrived(session: Session, signal: AbortSignal | undefined): Promise<boolean> {
    const unheard = this.#unheard;
    if (unheard?.generation !== session.generation) return false;
    const { store, logger, clock } = this.#parts;
    if (!(await isThere(store, snapshotKey(session.generation, unheard.index), { signal }))) return false;
    logger.info('the snapshot that seemed to fail is there', { index: formatIndex(unheard.index) });
    this.snapshotIsFrom(clock.now());
    session.snapshotIndex = unheard.index;
    this.#unheard = undefined;
    return true;
  }

  /** Uploads and closes a snapshot. */
  async upload(
    generation: Generation,
    snapshot: Snapshot,
    beforeLastByte: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store, clock, observer, logger } = this.#parts;
    const startedMs = clock.monotonicMs();
    let databaseBytes = 0;
    try {
      const onBytes = (bytes: number): void => void (databaseBytes += bytes);
      const info = await uploadSnapshot({ store, generation, snapshot, beforeLastByte, onBytes, signal });
      observer.onSnapshot(databaseBytes, info.sizeBytes);
      this.#parts.onStored?.({ generation, index: snapshot.position.index });
      this.snapshotIsFrom(info.modifiedAt.getTime());
      logger.info('snapshot written', {
        generation,
        index: formatIndex(snapshot.position.index),
        databaseBytes,
        objectBytes: info.sizeBytes,
        elapsedMs: Math.round(clock.monotonicMs() - startedMs),
      });
    } finally {
      snapshot.close();
    }
  }

  /** Waits until the destination has everything before `position`; answers by what position it knows that state. */
  async #confirmedThrough(
    session: Session,
    position: Position,
    signal: AbortSignal | undefined,
  ): Promise<Position> {
    const { primary } = this.#parts;
    while (this.#parts.session() === session) {
      if (primary.isNothingBetween(positionOf(session.cursor), position)) return knownBy(session, position);
      await this.#progress.wait(signal);
    }
    throw new RivuletError('CANCELLED', 'the generation changed meanwhile');
  }

  async #enforceRetention({ generation }: Session, signal: AbortSignal | undefined): Promise<void> {
    const { store, clock, logger, storeClock } = this.#parts;
    const { retentionMs } = this.#settings;
    const nowMs = storeClock.earliestMs;
    const present = generation;
    const parts = { store, retentionMs, nowMs, present, logger, signal };
    await this.#parts.beforeRetention?.(signal);
    const { isIdle, inventory } = await enforceRetention(parts);
    this.#schedule = { ...this.#schedule, retentionCheckedAtMs: clock.now(), retentionIsIdle: isIdle };
    this.#tellOfOthers(otherWriters(inventory, generation));
  }

  /** Each of them once. */
  #tellOfOthers(generations: readonly Generation[]): void {
    for (const generation of generations) {
      if (this.#othersTold.has(generation)) continue;
      this.#othersTold.add(generation);
      this.#parts.logger.warn('another program writes to this replica', {
        generation,
        hint:
          'A restore takes whichever wrote last. Stop one of them, or give each a path of its own; ' +
          'the lease keeps away only programs that know it, which Litestream does not.',
      });
    }
  }

  /** Proves what is new; damage gets a fresh snapshot, which is proven in turn. */
  async #prove(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const demand = await this.#prover.quick(session, signal);
    if (demand.kind === 'snapshot') await this.#heal(session, demand.afterIndex, signal);
  }

  async #proveFully(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const shipped = async (position: Position): Promise<Position> =>
      this.#confirmedThrough(session, position, signal);
    const demand = await this.#prover.full(session, shipped, signal);
    const nowMs = this.#parts.clock.now();
    this.#schedule = { ...this.#schedule, validatedAtMs: nowMs };
    writeValidatedAt(this.#files, this.#settings.metaPath, this.#settings.name, nowMs);
    if (demand.kind === 'snapshot') await this.#heal(session, demand.afterIndex, signal);
  }

  /**
   * A fresh snapshot in a later WAL than the damaged one: whoever restores from it needs nothing of what came before. Where
   * the present one cannot be ended, as while somebody reads, another generation begins.
   */
  async #heal(session: Session, damagedIndex: number, signal: AbortSignal | undefined): Promise<void> {
    const { primary } = this.#parts;
    const hasBegun = await primary.beginLog();
    const presentIndex = primary.position?.index ?? 0;
    // The present WAL may be later than the damage, and have lost segments of its own.
    if (!hasBegun || presentIndex <= Math.max(damagedIndex, session.snapshotIndex)) {
      this.#prover.healed(session);
      const what = `${this.#parts.store.location} does not restore, and no other log can be begun`;
      await primary.abandonGeneration(session.generation, what);
      return;
    }
    await this.#takeSnapshot(session, signal);
    this.#prover.healed(session);
    if (this.#parts.session() === session) await this.#prover.quick(session, signal);
  }
}

/** A log that holds nothing but its header is no object anywhere, unless a snapshot was made of it. */
function knownBy({ cursor, snapshotIndex }: Session, position: Position): Position {
  const reached = positionOf(cursor);
  const isThere = comparePositions(reached, position) >= 0 || snapshotIndex >= position.index;
  return isThere ? position : reached;
}
