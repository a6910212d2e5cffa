/**
 * What a destination needs beside the shipping: snapshots, retention, validation. One duty at a time, started when the
 * schedule says so, going on while segments are shipped.
 */
import { type Backoff, exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { SignalEvent } from '../base/signal-event.ts';
import { otherWriters } from '../generations/other-writers.ts';
import { comparePositions, formatIndex, type Generation, type Position } from '../generations/names.ts';
import { positionOf } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import type { Snapshot } from '../primary/snapshot-source.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { ReplicaObserver } from './replica-observer.ts';
import { enforceRetention } from './retention.ts';
import { type Duty, nextDuty, type Schedule, type ScheduleSettings, snapshotDueAtMs } from './schedule.ts';
import type { Session } from './session.ts';
import { uploadSnapshot } from './upload-snapshot.ts';
import { readValidatedAt, validateReplica, validationPath, writeValidatedAt } from './validation.ts';

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 5 * 60_000;

export interface DutySettings extends ScheduleSettings {
  readonly name: string;
  /** Directory for temporary databases and small notes; belongs to Rivulet. */
  readonly metaPath: string;
}

export interface DutyParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: ReplicaObserver;
  /** The session that goes on now: a duty that was started for another one ends. */
  readonly session: () => Session | undefined;
}

export class Duties {
  readonly #settings: DutySettings;
  readonly #parts: DutyParts;
  readonly #backoff: Backoff = exponentialBackoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  readonly #progress = new SignalEvent();
  #schedule: Schedule;
  #underWay: Promise<void> | undefined;
  #lastFailure: unknown;
  readonly #othersTold = new Set<Generation>();

  constructor(settings: DutySettings, parts: DutyParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#schedule = {
      snapshotAtMs: undefined,
      retentionCheckedAtMs: undefined,
      retentionIsIdle: false,
      validatedAtMs: readValidatedAt(settings.metaPath, settings.name) ?? parts.clock.now(),
      notBeforeMs: Number.NEGATIVE_INFINITY,
    };
  }

  /** The duty that goes on now; never rejects. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** Why the last duty failed; undefined when it did not. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** The destination's newest snapshot is from then (milliseconds since 1970). */
  snapshotIsFrom(createdAtMs: number): void {
    this.#schedule = { ...this.#schedule, snapshotAtMs: createdAtMs, retentionIsIdle: false };
  }

  /** A segment has been stored: what waits for it goes on, and something may expire one day. */
  segmentStored(): void {
    this.#schedule = { ...this.#schedule, retentionIsIdle: false };
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

  /** When the next snapshot is due, if anything new was written by then; undefined when none will be. */
  get snapshotDueAtMs(): number | undefined {
    return snapshotDueAtMs(this.#schedule, this.#settings);
  }

  #next(): Duty | undefined {
    const session = this.#parts.session();
    if (session === undefined || this.#underWay !== undefined) return undefined;
    return nextDuty(this.#schedule, this.#settings, positionOf(session.cursor).index > session.snapshotIndex);
  }

  /** Starts what is due. */
  start(signal: AbortSignal | undefined): void {
    const session = this.#parts.session();
    const duty = this.#next();
    if (session === undefined || duty === undefined || duty.atMs > this.#parts.clock.now()) return;
    this.#underWay = this.#perform(duty.kind, session, signal)
      .catch((error: unknown) => {
        if (signal?.aborted !== true && this.#parts.session() === session) this.#failed(duty.kind, error);
      })
      .finally(() => {
        this.#underWay = undefined;
      });
  }

  async #perform(kind: Duty['kind'], session: Session, signal: AbortSignal | undefined): Promise<void> {
    if (kind === 'snapshot') await this.#takeSnapshot(session, signal);
    else if (kind === 'retention') await this.#enforceRetention(session, signal);
    else await this.#validate(session, signal);
    this.#lastFailure = undefined;
    this.#backoff.reset();
  }

  #failed(kind: Duty['kind'], error: unknown): void {
    const waitMs = this.#backoff.next();
    this.#lastFailure = error;
    this.#schedule = { ...this.#schedule, notBeforeMs: this.#parts.clock.now() + waitMs };
    this.#parts.observer.onFailure(error);
    this.#parts.logger.warn(`${kind} failed; trying again`, { error, retryInMs: Math.round(waitMs) });
  }

  /** The snapshot may only appear when the log before its position has been shipped. */
  async #takeSnapshot(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const snapshot = await this.#parts.primary.openSnapshot();
    const stored = async (): Promise<void> => this.#confirmedThrough(session, snapshot.position, signal);
    try {
      await this.upload(session.generation, snapshot, stored, signal);
    } catch (error) {
      if (!isRivuletError(error, 'STORAGE_EXISTS')) throw error;
      // The answer to an earlier attempt was lost. It is this generation's own, so it is as good as a new one.
      this.#parts.logger.info('the snapshot is there already', {
        index: formatIndex(snapshot.position.index),
      });
      this.snapshotIsFrom(this.#parts.clock.now());
    }
    session.snapshotIndex = snapshot.position.index;
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

  async #confirmedThrough(
    session: Session,
    position: Position,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    while (this.#parts.session() === session) {
      if (comparePositions(positionOf(session.cursor), position) >= 0) return;
      await this.#progress.wait(signal);
    }
    throw new RivuletError('CANCELLED', 'the generation changed meanwhile');
  }

  async #enforceRetention({ generation }: Session, signal: AbortSignal | undefined): Promise<void> {
    const { store, clock, logger } = this.#parts;
    const { retentionMs } = this.#settings;
    const nowMs = clock.now();
    const { isIdle, inventory } = await enforceRetention({ store, retentionMs, nowMs, logger, signal });
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

  async #validate(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const { primary, store, clock, observer, logger } = this.#parts;
    const { metaPath, name } = this.#settings;
    const outcome = await validateReplica({
      primary,
      store,
      generation: session.generation,
      temporaryPath: validationPath(metaPath, name),
      logger,
      signal,
      shipped: async (position) => this.#confirmedThrough(session, position, signal),
    });
    this.#schedule = { ...this.#schedule, validatedAtMs: clock.now() };
    writeValidatedAt(metaPath, name, clock.now());
    observer.onValidation(outcome === 'equal');
  }
}
