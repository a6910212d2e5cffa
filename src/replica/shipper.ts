/** Carries log bytes from the primary to one destination, one segment after another. */
import type { Clock } from '../base/clock.ts';
import { RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { formatPosition, parseSnapshotName, type Position, snapshotPrefix } from '../generations/names.ts';
import { type Cursor, positionOf } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import type { Taken } from '../primary/take.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Session } from './session.ts';
import { uploadSegment, uploadSegmentStream } from './upload-segment.ts';

/** Most log bytes in one segment; bounds the memory of one destination to a few times this. */
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
/** A backlog of this size is read into memory that is used again, and is worth a checkpoint once it is gone. */
const LARGE_BACKLOG_BYTES = 512 * 1024;
/** When a new log begins, and this long after the last look: is a snapshot still there? */
const SNAPSHOT_LOOK_MS = 5_000;

type TakenBytes = Extract<Taken, { kind: 'bytes' }>;

export interface ShipperParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A segment of so many log bytes is stored; the destination holds everything before `position`. */
  readonly onSegment: (bytes: number, position: Position) => void;
}

export class Shipper {
  readonly #parts: ShipperParts;
  #lastUploadMs = Number.NEGATIVE_INFINITY;
  #buffer: Uint8Array | undefined;

  constructor(parts: ShipperParts) {
    this.#parts = parts;
  }

  /** When the last upload began, in monotonic milliseconds. */
  get lastUploadMs(): number {
    return this.#lastUploadMs;
  }

  /** Log bytes that the destination lacks. */
  backlogBytes({ cursor }: Session): number {
    const { primary } = this.#parts;
    return primary.position === undefined ? 0 : primary.bytesBetween(positionOf(cursor), primary.position);
  }

  /**
   * Ships until nothing committed is left, or the generation has changed.
   *
   * @returns whether the destination holds everything now
   * @throws RivuletError `CHAIN_BROKEN` when the session cannot go on; what the store throws
   */
  async ship(session: Session, signal: AbortSignal | undefined): Promise<boolean> {
    const { primary } = this.#parts;
    let shippedBytes = 0;
    for (;;) {
      signal?.throwIfAborted();
      if (primary.generation !== session.generation) return false;
      const taken = primary.take(session.cursor, SEGMENT_BYTES_MAX, this.#bufferFor(session));
      if (taken.kind === 'caught-up') break;
      if (taken.kind === 'lost') throw new RivuletError('CHAIN_BROKEN', taken.why);
      await this.#shipOne(session, taken, signal);
      shippedBytes += taken.bytes.length;
    }
    // With everything shipped this is the best moment for a checkpoint: little is left to be kept aside.
    if (shippedBytes >= LARGE_BACKLOG_BYTES) await primary.refresh();
    return true;
  }

  /** Segments of one destination are read one after another into the same memory; small ones get their own. */
  #bufferFor(session: Session): Uint8Array | undefined {
    if (this.backlogBytes(session) < LARGE_BACKLOG_BYTES) return undefined;
    this.#buffer ??= new Uint8Array(SEGMENT_BYTES_MAX);
    return this.#buffer;
  }

  async #shipOne(session: Session, taken: TakenBytes, signal: AbortSignal | undefined): Promise<void> {
    const { clock, logger, onSegment } = this.#parts;
    this.#lastUploadMs = clock.monotonicMs();
    if (taken.from.offsetBytes === 0) await this.#requireSnapshot(session, signal);
    session.cursor = await this.#store(session, taken, signal);
    session.reachBytes = 0;
    const position = positionOf(session.cursor);
    onSegment(position.offsetBytes - taken.from.offsetBytes, position);
    logger.debug('segment written', {
      position: formatPosition(taken.from),
      until: formatPosition(position),
    });
  }

  async #store(session: Session, taken: TakenBytes, signal: AbortSignal | undefined): Promise<Cursor> {
    const { store } = this.#parts;
    const place = {
      generation: session.generation,
      from: taken.from,
      previousEndBytes: taken.from.index > session.firstIndex ? taken.previousEndBytes : undefined,
    };
    if (taken.from.offsetBytes > 0 || positionOf(taken.cursor).offsetBytes >= session.reachBytes) {
      await uploadSegment(store, place, taken.bytes, signal);
      return taken.cursor;
    }
    let reached = taken.cursor;
    const pieces = this.#takeThrough(taken, session.reachBytes, (cursor) => (reached = cursor));
    await uploadSegmentStream(store, place, pieces, signal);
    return reached;
  }

  /** The log from its start to `reachBytes`, or to its end if that comes first. */
  async *#takeThrough(
    first: TakenBytes,
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
    if (taken.kind === 'lost') throw new RivuletError('CHAIN_BROKEN', taken.why);
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
    throw new RivuletError('CHAIN_BROKEN', 'its snapshots have been removed');
  }
}
