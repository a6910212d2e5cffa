/**
 * One destination of one database, at its own pace: finds out where it stands, ships what is committed, takes
 * snapshots when they are due, lets go of what is older than the window, and proves itself now and then.
 *
 *     primary --take--> segment --write--> destination --confirm--> primary
 *
 * Whatever fails is tried again with growing waits, for ever; the database and other destinations never notice.
 */
import type { Backoff } from '../base/backoff.ts';
import { exponentialBackoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { firstOf } from '../base/first-of.ts';
import { messageOf, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { SignalEvent } from '../base/signal-event.ts';
import { encodeEnd, endKey } from '../generations/ends.ts';
import { type GenerationInventory, generationOf, readInventory } from '../generations/inventory.ts';
import {
  comparePositions,
  formatIndex,
  formatPosition,
  type Generation,
  parseSnapshotName,
  type Position,
  snapshotPrefix,
} from '../generations/names.ts';
import { type Cursor, positionOf, startOfLog } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import type { Taken } from '../primary/take.ts';
import type { Snapshot } from '../primary/snapshot-source.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { findPosition } from './find-position.ts';
import type { ReplicaObserver } from './replica-observer.ts';
import { enforceRetention } from './retention.ts';
import { type Duty, nextDuty, type Schedule, type ScheduleSettings } from './schedule.ts';
import { uploadSegment, uploadSegmentStream } from './upload-segment.ts';
import { uploadSnapshot } from './upload-snapshot.ts';
import { readValidatedAt, validateReplica, writeValidatedAt } from './validation.ts';

/** Most log bytes in one segment; bounds the memory of one destination to a few times this. */
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
/** A backlog of this size ships without waiting for the sync interval, so that the log does not grow. */
const URGENT_BACKLOG_BYTES = 16 * 1024 * 1024;
/** While a duty is performed by `once`, shipping goes on in these steps. */
const ONCE_STEP_MS = 20;
/** When a new log begins, and this long after the last look: is a snapshot still there? */
const SNAPSHOT_LOOK_MS = 5_000;
/** From this size on segments are read into memory that is used again. */
const OWN_BUFFER_BYTES = 512 * 1024;
/** Longest wait before the times of duties are looked at again: clocks can be set. */
const IDLE_WAIT_MS = 60_000;
const DUTY_RETRY_FIRST_MS = 1_000;
const DUTY_RETRY_MAX_MS = 5 * 60_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 30_000;
/** While a destination stays away, one line in the log each so often. */
const REMIND_MS = 5 * 60_000;

export interface ReplicaSettings extends ScheduleSettings {
  /** Unique among the destinations of one database. */
  readonly name: string;
  /** Least spacing between uploads. */
  readonly syncIntervalMs: number;
  readonly retentionMs: number;
  /** Directory for temporary databases and small notes; belongs to Rivulet. */
  readonly metaPath: string;
}

export interface ReplicaParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: ReplicaObserver;
}

export interface ReplicaStatus {
  readonly name: string;
  readonly state: 'starting' | 'snapshotting' | 'streaming' | 'failing';
  readonly generation: Generation | undefined;
  /** Everything before this is stored at the destination. */
  readonly confirmed: Position | undefined;
  /** When the destination last held everything that was committed, in milliseconds since 1970. */
  readonly caughtUpAtMs: number | undefined;
  readonly lastError: string | undefined;
}

/** What is known of the destination for the present generation. */
interface Session {
  readonly generation: Generation;
  cursor: Cursor;
  /** Index from which on this destination holds every log of the generation. */
  readonly firstIndex: number;
  /** The first segment after a first snapshot must reach this offset in one object; see `#takeFirst`. */
  reachBytes: number;
  /**
   * Index of the newest snapshot. A snapshot has its index for a name, so another one in the same log would replace it
   * and take the moments between the two away; it waits for the next log.
   */
  snapshotIndex: number;
  /** When a snapshot was last seen at the destination, in monotonic milliseconds. */
  snapshotSeenMs: number;
}

export class Replica {
  readonly settings: ReplicaSettings;
  readonly #parts: ReplicaParts;
  readonly #logger: Logger;
  readonly #backoff: Backoff = exponentialBackoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  /** When this object was made, in milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly #confirmed = new SignalEvent();
  #session: Session | undefined;
  #schedule: Schedule;
  #state: ReplicaStatus['state'] = 'starting';
  #caughtUpAtMs: number | undefined;
  #lastUploadMs = Number.NEGATIVE_INFINITY;
  #failure: { sinceMs: number; remindedMs: number; message: string } | undefined;
  /** The duty that goes on beside the shipping; never rejects. */
  #duty: Promise<void> | undefined;
  readonly #dutyBackoff: Backoff = exponentialBackoff(DUTY_RETRY_FIRST_MS, DUTY_RETRY_MAX_MS);
  #dutyNotBeforeMs = Number.NEGATIVE_INFINITY;
  #segmentBuffer: Uint8Array | undefined;

  constructor(settings: ReplicaSettings, parts: ReplicaParts) {
    this.settings = settings;
    this.#parts = parts;
    this.startedAtMs = parts.clock.now();
    this.#logger = parts.logger.child({ replica: settings.name });
    this.#schedule = {
      snapshotAtMs: undefined,
      retentionCheckedAtMs: undefined,
      retentionIsIdle: false,
      validatedAtMs: readValidatedAt(settings.metaPath, settings.name) ?? parts.clock.now(),
    };
  }

  get status(): ReplicaStatus {
    return {
      name: this.settings.name,
      state: this.#failure === undefined ? this.#state : 'failing',
      generation: this.#session?.generation,
      confirmed: this.#session === undefined ? undefined : positionOf(this.#session.cursor),
      caughtUpAtMs: this.#caughtUpAtMs,
      lastError: this.#failure?.message,
    };
  }

  /** Whether the destination holds everything that the primary knows to be committed. */
  get isCaughtUp(): boolean {
    const { primary } = this.#parts;
    if (primary.status === 'waiting') return true;
    if (this.#session === undefined || this.#session.generation !== primary.generation) return false;
    return primary.position !== undefined && this.#backlogBytes(this.#session.cursor, primary.position) === 0;
  }

  /** Runs until `signal` aborts; then resolves once nothing is under way. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#spacing(signal);
        const seen = this.#parts.primary.changes;
        await this.syncOnce(signal);
        this.#startDuty(signal);
        if (seen === this.#parts.primary.changes) await this.#untilChangeOrDuty(signal);
      } catch (error) {
        if (!signal.aborted) await this.#wait(this.#failed(error), signal);
      }
    }
    await this.#duty;
  }

  /**
   * Ships everything that is committed now; takes a first snapshot if the destination has none.
   *
   * @throws RivuletError as the destination does; everything confirmed before stays confirmed
   */
  async syncOnce(signal?: AbortSignal): Promise<void> {
    if (this.#parts.primary.generation === undefined) return;
    if (this.#session === undefined || this.#session.generation !== this.#parts.primary.generation) {
      this.#session = await this.#establish(this.#parts.primary.generation, signal);
    }
    await this.#ship(this.#session, signal);
    this.#recovered();
  }

  /** Ships what is there and does what is due, once. @throws as `syncOnce` does */
  async once(signal: AbortSignal): Promise<void> {
    await this.#parts.primary.refresh();
    await this.syncOnce(signal);
    for (this.#startDuty(signal); this.#duty !== undefined; this.#startDuty(signal)) {
      while (this.#duty !== undefined) {
        await Promise.race([this.#duty, this.#wait(ONCE_STEP_MS, signal)]);
        await this.syncOnce(signal);
      }
    }
  }

  /**
   * For the end: ships what is left, tries again until `deadlineMs` (monotonic) has passed, and leaves a promise
   * that the chain reaches this far.
   *
   * @throws RivuletError `FINAL_SYNC_FAILED`
   */
  async finish(deadlineMs: number, signal?: AbortSignal): Promise<void> {
    const { clock, primary } = this.#parts;
    for (;;) {
      try {
        await primary.refresh();
        await this.syncOnce(signal);
        await this.#promiseEnd(signal);
        if (this.isCaughtUp) return;
      } catch (error) {
        const waitMs = this.#failed(error);
        if (signal?.aborted === true || clock.monotonicMs() + waitMs >= deadlineMs)
          throw this.#finalSyncFailed(error);
        await this.#wait(waitMs, signal);
      }
      if (clock.monotonicMs() >= deadlineMs) throw this.#finalSyncFailed(undefined);
    }
  }

  #finalSyncFailed(cause: unknown): RivuletError {
    const why = cause === undefined ? 'writers were faster than the destination' : messageOf(cause);
    return new RivuletError(
      'FINAL_SYNC_FAILED',
      `not everything was stored at ${this.#parts.store.location} before the end: ${why}`,
      { cause, hint: 'The write-ahead log was kept; the next start continues from there.' },
    );
  }

  // ---- finding the position ----------------------------------------------------------------------------------

  async #establish(generation: Generation, signal: AbortSignal | undefined): Promise<Session> {
    const { primary, store } = this.#parts;
    this.#state = 'starting';
    const inventory = await readInventory(store, { generation, ...(signal === undefined ? {} : { signal }) });
    const held = generationOf(inventory, generation);
    const found = await findPosition({ primary, store, logger: this.#logger, signal }, held);
    if (found === undefined) {
      await this.#avoidOverlap(held);
      return this.#firstSnapshot(generation, signal);
    }
    this.#schedule = { ...this.#schedule, snapshotAtMs: found.snapshot.createdAt };
    primary.confirm(this.settings.name, positionOf(found.cursor));
    this.#logger.info('continuing where the destination stands', {
      generation,
      position: formatPosition(positionOf(found.cursor)),
      destination: store.location,
    });
    const firstIndex = found.snapshot.index;
    // A snapshot without any segment: as after a first snapshot, what it may hold already appears in one object.
    const reachBytes = found.cursor.chain === undefined ? Number.POSITIVE_INFINITY : 0;
    return {
      generation,
      cursor: found.cursor,
      firstIndex,
      reachBytes,
      snapshotIndex: firstIndex,
      snapshotSeenMs: this.#parts.clock.monotonicMs(),
    };
  }

  /** Objects of the present log that cannot be continued would lie across those that are about to be written. */
  async #avoidOverlap(held: GenerationInventory | undefined): Promise<void> {
    const { primary, store } = this.#parts;
    const last = Math.max(held?.segments.at(-1)?.index ?? -1, held?.snapshots.at(-1)?.index ?? -1);
    if (held === undefined || primary.position === undefined || last < primary.position.index) return;
    await primary.abandonGeneration(held.generation, `${store.location} holds what cannot be continued`);
    throw new RivuletError(
      'CHAIN_BROKEN',
      `${store.location} cannot be continued in generation ${held.generation}`,
    );
  }

  /** A destination that holds nothing of this generation: a snapshot first, then the log from its start. */
  async #firstSnapshot(generation: Generation, signal: AbortSignal | undefined): Promise<Session> {
    const { primary } = this.#parts;
    this.#state = 'snapshotting';
    const { name } = this.settings;
    try {
      await primary.attach(name);
      const snapshot = await primary.openSnapshot();
      if (primary.generation !== generation) {
        snapshot.close();
        throw new RivuletError('CANCELLED', 'the generation changed while a snapshot began');
      }
      const cursor = startOfLog(snapshot.position.index);
      primary.confirm(name, positionOf(cursor));
      await this.#upload(generation, snapshot, async () => undefined, signal);
      const { index, offsetBytes } = snapshot.position;
      return {
        generation,
        cursor,
        firstIndex: index,
        reachBytes: offsetBytes,
        snapshotIndex: index,
        snapshotSeenMs: this.#parts.clock.monotonicMs(),
      };
    } catch (error) {
      primary.drop(name);
      throw error;
    }
  }

  async #upload(
    generation: Generation,
    snapshot: Snapshot,
    beforeLastByte: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store, clock, observer } = this.#parts;
    const startedMs = clock.monotonicMs();
    let databaseBytes = 0;
    try {
      const onBytes = (bytes: number): void => void (databaseBytes += bytes);
      const info = await uploadSnapshot({ store, generation, snapshot, beforeLastByte, onBytes, signal });
      observer.onSnapshot(databaseBytes, info.sizeBytes);
      this.#schedule = { ...this.#schedule, snapshotAtMs: info.modifiedAt.getTime(), retentionIsIdle: false };
      this.#logger.info('snapshot written', {
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

  // ---- shipping ----------------------------------------------------------------------------------------------

  async #ship(session: Session, signal: AbortSignal | undefined): Promise<void> {
    this.#state = 'streaming';
    let shippedBytes = 0;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#parts.primary.generation !== session.generation) return;
      const taken = this.#parts.primary.take(session.cursor, SEGMENT_BYTES_MAX, this.#buffer());
      if (taken.kind === 'caught-up') break;
      if (taken.kind === 'lost') {
        this.#lost(taken.why);
        return;
      }
      this.#lastUploadMs = this.#parts.clock.monotonicMs();
      await this.#shipOne(session, taken, signal);
      shippedBytes += taken.bytes.length;
    }
    this.#caughtUpAtMs = this.#parts.clock.now();
    // With everything shipped this is the best moment for a checkpoint: little is left to be kept aside.
    if (shippedBytes >= OWN_BUFFER_BYTES) await this.#parts.primary.refresh();
  }

  /** Segments of one destination are read one after another into the same memory; small ones get their own. */
  #buffer(): Uint8Array | undefined {
    const { primary } = this.#parts;
    if (this.#session === undefined || primary.position === undefined) return undefined;
    if (this.#backlogBytes(this.#session.cursor, primary.position) < OWN_BUFFER_BYTES) return undefined;
    this.#segmentBuffer ??= new Uint8Array(SEGMENT_BYTES_MAX);
    return this.#segmentBuffer;
  }

  #lost(why: string): void {
    this.#logger.warn('the chain to this destination is broken; it gets a fresh snapshot', { why });
    this.#session = undefined;
    this.#parts.primary.drop(this.settings.name);
    throw new RivuletError('CHAIN_BROKEN', `the chain to this destination is broken: ${why}`);
  }

  async #shipOne(
    session: Session,
    taken: Extract<Taken, { kind: 'bytes' }>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store, observer, primary } = this.#parts;
    if (taken.from.offsetBytes === 0) await this.#requireSnapshot(session, signal);
    const place = {
      generation: session.generation,
      from: taken.from,
      previousEndBytes: taken.from.index > session.firstIndex ? taken.previousEndBytes : undefined,
    };
    let next = taken.cursor;
    if (taken.from.offsetBytes === 0 && positionOf(next).offsetBytes < session.reachBytes) {
      await uploadSegmentStream(
        store,
        place,
        this.#takeThrough(taken, session.reachBytes, (c) => (next = c)),
        signal,
      );
    } else {
      await uploadSegment(store, place, taken.bytes, signal);
    }
    session.cursor = next;
    session.reachBytes = 0;
    const position = positionOf(next);
    primary.confirm(this.settings.name, position);
    this.#confirmed.fire();
    observer.onSegment(position.offsetBytes - taken.from.offsetBytes, position);
    this.#schedule = { ...this.#schedule, retentionIsIdle: false };
    this.#logger.debug('segment written', {
      position: formatPosition(taken.from),
      bytes: taken.bytes.length,
    });
  }

  /** A destination that somebody has emptied would collect segments of which nothing can be restored. */
  async #requireSnapshot(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - session.snapshotSeenMs < SNAPSHOT_LOOK_MS) return;
    const prefix = snapshotPrefix(session.generation);
    for await (const { key } of this.#parts.store.list(prefix, { signal })) {
      if (parseSnapshotName(key.slice(prefix.length)) === undefined) continue;
      session.snapshotSeenMs = nowMs;
      return;
    }
    this.#lost('its snapshots have been removed');
  }

  /**
   * A first snapshot holds what its log held before the snapshot's position. Replaying half of that over it would
   * give a mixture, so this part of the log appears at the destination in one object, or not at all.
   */
  async *#takeThrough(
    first: Extract<Taken, { kind: 'bytes' }>,
    reachBytes: number,
    onCursor: (cursor: Cursor) => void,
  ): AsyncIterable<Uint8Array> {
    let taken: Taken = first;
    while (taken.kind === 'bytes' && taken.from.index === first.from.index) {
      onCursor(taken.cursor);
      yield taken.bytes;
      if (positionOf(taken.cursor).offsetBytes >= reachBytes) return;
      taken = this.#parts.primary.take(taken.cursor, SEGMENT_BYTES_MAX);
    }
    if (taken.kind === 'lost')
      throw new RivuletError('CHAIN_BROKEN', `the log under the first snapshot: ${taken.why}`);
  }

  async #promiseEnd(signal: AbortSignal | undefined): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    const position = positionOf(session.cursor);
    if (position.offsetBytes === 0) return;
    await this.#parts.store.write(endKey(session.generation, position), encodeEnd(position), { signal });
  }

  // ---- duties beside shipping ---------------------------------------------------------------------------------

  /** Starts what is due. It goes on beside the shipping, one duty at a time, so that no duty disturbs another. */
  #startDuty(signal: AbortSignal | undefined): void {
    const session = this.#session;
    const duty = this.#nextDuty();
    if (session === undefined || duty === undefined || duty.atMs > this.#parts.clock.now()) return;
    this.#duty = this.#perform(duty.kind, session, signal)
      .catch((error: unknown) => {
        if (signal?.aborted !== true && this.#session === session) this.#dutyFailed(duty.kind, error);
      })
      .finally(() => {
        this.#duty = undefined;
      });
  }

  #nextDuty(): Duty | undefined {
    if (this.#session === undefined || this.#duty !== undefined) return undefined;
    const schedule = { ...this.#schedule, notBeforeMs: this.#dutyNotBeforeMs };
    return nextDuty(schedule, this.settings, this.#hasNews(this.#session));
  }

  #hasNews({ snapshotIndex, cursor }: Session): boolean {
    return positionOf(cursor).index > snapshotIndex;
  }

  async #perform(kind: Duty['kind'], session: Session, signal: AbortSignal | undefined): Promise<void> {
    if (kind === 'snapshot') await this.#takeSnapshot(session, signal);
    else if (kind === 'retention') await this.#enforceRetention(signal);
    else await this.#validate(session, signal);
    this.#dutyBackoff.reset();
  }

  #dutyFailed(kind: Duty['kind'], error: unknown): void {
    const waitMs = this.#dutyBackoff.next();
    this.#dutyNotBeforeMs = this.#parts.clock.now() + waitMs;
    this.#parts.observer.onFailure(error);
    this.#logger.warn(`${kind} failed; trying again`, { error, retryInMs: Math.round(waitMs) });
  }

  /** The snapshot may only appear when the log before its position has been shipped. */
  async #takeSnapshot(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const snapshot = await this.#parts.primary.openSnapshot();
    const stored = async (): Promise<void> => this.#confirmedThrough(session, snapshot.position, signal);
    await this.#upload(session.generation, snapshot, stored, signal);
    session.snapshotIndex = snapshot.position.index;
  }

  async #confirmedThrough(
    session: Session,
    position: Position,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    while (this.#session === session) {
      if (comparePositions(positionOf(session.cursor), position) >= 0) return;
      await this.#confirmed.wait(signal);
    }
    throw new RivuletError('CANCELLED', 'the generation changed meanwhile');
  }

  async #enforceRetention(signal: AbortSignal | undefined): Promise<void> {
    const { store, clock } = this.#parts;
    const { isIdle } = await enforceRetention({
      store,
      retentionMs: this.settings.retentionMs,
      nowMs: clock.now(),
      logger: this.#logger,
      signal,
    });
    this.#schedule = { ...this.#schedule, retentionCheckedAtMs: clock.now(), retentionIsIdle: isIdle };
  }

  async #validate(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const { primary, store, clock, observer } = this.#parts;
    const outcome = await validateReplica({
      primary,
      store,
      generation: session.generation,
      temporaryDirectory: this.settings.metaPath,
      logger: this.#logger,
      signal,
      shipped: async (position) => this.#confirmedThrough(session, position, signal),
    });
    this.#schedule = { ...this.#schedule, validatedAtMs: clock.now() };
    writeValidatedAt(this.settings.metaPath, this.settings.name, clock.now());
    observer.onValidation(outcome === 'equal');
  }

  // ---- pace and failures --------------------------------------------------------------------------------------

  /** Waits until the sync interval since the last upload has passed; a large backlog does not wait. */
  async #spacing(signal: AbortSignal): Promise<void> {
    const { clock, primary } = this.#parts;
    for (;;) {
      const waitMs = this.#lastUploadMs + this.settings.syncIntervalMs - clock.monotonicMs();
      if (waitMs <= 0 || this.#isUrgent()) return;
      await firstOf(signal, (enough) => [primary.waitForChange(enough), clock.sleep(waitMs, enough)]);
      signal.throwIfAborted();
    }
  }

  #isUrgent(): boolean {
    const { primary } = this.#parts;
    if (this.#session === undefined || primary.position === undefined) return false;
    if (this.#session.generation !== primary.generation) return true;
    return this.#backlogBytes(this.#session.cursor, primary.position) >= URGENT_BACKLOG_BYTES;
  }

  /** Log bytes between a cursor and the tail; across logs at least what the present one holds. */
  #backlogBytes(cursor: Cursor, tail: Position): number {
    const at = positionOf(cursor);
    return this.#parts.primary.bytesBetween(at, tail);
  }

  async #untilChangeOrDuty(signal: AbortSignal): Promise<void> {
    const { clock, primary } = this.#parts;
    const duty = this.#nextDuty();
    const waitMs = duty === undefined ? IDLE_WAIT_MS : Math.max(0, duty.atMs - clock.now());
    // A duty under way is watched, not waited for: it ends with the signal of the whole run.
    const dutyDone = new SignalEvent();
    void this.#duty?.then(() => dutyDone.fire());
    await firstOf(signal, (enough) => [
      primary.waitForChange(enough),
      dutyDone.wait(enough),
      clock.sleep(Math.min(waitMs, IDLE_WAIT_MS), enough),
    ]);
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#parts.clock.sleep(ms, signal).catch(() => undefined);
  }

  /** Notes a failure and answers how long to wait. One line when it begins, and one now and then. */
  #failed(error: unknown): number {
    const nowMs = this.#parts.clock.now();
    const waitMs = this.#backoff.next();
    this.#parts.observer.onFailure(error);
    const first = this.#failure === undefined;
    this.#failure ??= { sinceMs: nowMs, remindedMs: nowMs, message: messageOf(error) };
    this.#failure.message = messageOf(error);
    const reminderDue = nowMs - this.#failure.remindedMs >= REMIND_MS;
    if (reminderDue) this.#failure.remindedMs = nowMs;
    const fields = { error, retryInMs: Math.round(waitMs), failingForMs: nowMs - this.#failure.sinceMs };
    if (first || reminderDue) this.#logger.warn('the destination failed; trying again', fields);
    else this.#logger.debug('the destination failed again', fields);
    return waitMs;
  }

  #recovered(): void {
    this.#backoff.reset();
    if (this.#failure === undefined) return;
    const failedForMs = this.#parts.clock.now() - this.#failure.sinceMs;
    this.#failure = undefined;
    this.#parts.observer.onRecovery();
    this.#logger.info('the destination works again', { failedForMs });
  }
}
