/** Carries log bytes from the primary to one destination, one segment after another. */
import type { Clock } from '../base/clock.ts';
import { RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { comparePositions, formatPosition, type Position, segmentKey } from '../generations/names.ts';
import { type Cursor, positionOf } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import { readAgain } from '../primary/read-again.ts';
import { isSameLogEnd, type LogEnd, logEndOf } from '../primary/resume-point.ts';
import type { Taken } from '../primary/take.ts';
import { isThere } from '../storage/is-there.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Session } from './session.ts';
import { hasSnapshot, SnapshotLook, snapshotsRemoved } from './snapshot-look.ts';
import type { IntendedSegment, UploadRecord } from './upload-record.ts';
import { type SegmentPlace, uploadSegment, uploadSegmentStream } from './upload-segment.ts';

/** Most log bytes in one segment, unless something smaller is set; bounds the memory of one destination to a few times this. */
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
/** A backlog of this size is read into memory that is used again, and is worth a checkpoint once it is gone. */
const LARGE_BACKLOG_BYTES = 512 * 1024;

type TakenBytes = Extract<Taken, { kind: 'bytes' }>;

export interface ShipperParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is noted here about what was stored, for destinations that may not be readable; see `upload-record.ts`. */
  readonly record?: UploadRecord | undefined;
  /** Most log bytes in one segment; a frame larger than that is one by itself. */
  readonly segmentBytesMax?: number | undefined;
  /** A segment of so many log bytes is stored; the destination holds everything before `position`. */
  readonly onSegment: (session: Session, bytes: number, position: Position) => void;
}

/** Log bytes were taken, so their log has begun. */
function endOf({ chain }: Cursor): LogEnd {
  if (chain === undefined) throw new TypeError('nothing was taken');
  return logEndOf(chain);
}

export class Shipper {
  readonly #parts: ShipperParts;
  #lastUploadMs = Number.NEGATIVE_INFINITY;
  readonly #segmentBytesMax: number;
  readonly #snapshotLook: SnapshotLook;
  #buffer: Uint8Array | undefined;

  constructor(parts: ShipperParts) {
    this.#parts = parts;
    this.#snapshotLook = new SnapshotLook(parts);
    this.#segmentBytesMax = parts.segmentBytesMax ?? SEGMENT_BYTES_MAX;
  }

  /** When the last upload began, in monotonic milliseconds. */
  get lastUploadMs(): number {
    return this.#lastUploadMs;
  }

  /** Log bytes that the destination lacks. */
  backlogBytes(session: Session): number {
    const { position } = this.#parts.primary;
    return position === undefined ? 0 : this.lacks(session, position);
  }

  /** Log bytes before `position` that the destination lacks. */
  lacks({ cursor }: Session, position: Position): number {
    return this.#parts.primary.bytesBetween(positionOf(cursor), position);
  }

  /**
   * Ships until nothing committed is left, or the generation has changed.
   *
   * @param until - how far is enough; writers may be faster than the destination
   * @returns whether the destination holds everything now
   * @throws RivuletError `CHAIN_BROKEN` when the session cannot go on; `DB_UNREADABLE`, `STATE_INVALID` when the log
   *   cannot be read at the moment; what the store throws
   */
  async ship(session: Session, signal: AbortSignal | undefined, until?: Position): Promise<boolean> {
    const { primary } = this.#parts;
    let shippedBytes = 0;
    for (;;) {
      signal?.throwIfAborted();
      if (primary.generation !== session.generation) return false;
      if (until !== undefined && this.lacks(session, until) === 0) return this.backlogBytes(session) === 0;
      const taken = this.#take(session);
      if (taken.kind === 'caught-up') break;
      if (taken.kind === 'lost') throw new RivuletError('CHAIN_BROKEN', taken.why);
      await this.#shipOne(session, taken, signal);
      shippedBytes += taken.bytes.length;
    }
    // With everything shipped this is the best moment for a checkpoint: little is left to be kept aside.
    if (shippedBytes >= LARGE_BACKLOG_BYTES) await primary.refresh();
    return true;
  }

  /** What was intended once and may have arrived is taken again up to the same end. */
  #take(session: Session): Taken {
    const { primary } = this.#parts;
    const into = this.#bufferFor(session);
    const taken = primary.take(session.cursor, this.#segmentBytesMax, into);
    if (taken.kind !== 'bytes') return taken;
    const end = this.#intendedAt(session, taken.from)?.end;
    if (end === undefined || end.offsetBytes >= positionOf(taken.cursor).offsetBytes) return taken;
    return primary.take(session.cursor, end.offsetBytes - taken.from.offsetBytes, into);
  }

  /** @param from - where the segment begins, which is the next log where the cursor stands at the end of one */
  #intendedAt({ generation }: Session, from: Position): IntendedSegment | undefined {
    const intended = this.#parts.record?.intendedIn(generation);
    return intended !== undefined && comparePositions(intended.from, from) === 0 ? intended : undefined;
  }

  /** Segments of one destination are read one after another into the same memory; small ones get their own. */
  #bufferFor(session: Session): Uint8Array | undefined {
    if (this.backlogBytes(session) < LARGE_BACKLOG_BYTES) return undefined;
    this.#buffer ??= new Uint8Array(this.#segmentBytesMax);
    return this.#buffer;
  }

  async #shipOne(session: Session, taken: TakenBytes, signal: AbortSignal | undefined): Promise<void> {
    const { clock, logger, onSegment } = this.#parts;
    this.#lastUploadMs = clock.monotonicMs();
    if (taken.from.offsetBytes === 0) await this.#snapshotLook.look(session, signal);
    session.cursor = await this.#store(session, taken, signal);
    session.reachBytes = 0;
    session.lastSegment = { index: taken.from.index, offsetBytes: taken.from.offsetBytes };
    this.#snapshotLook.uploaded();
    const position = positionOf(session.cursor);
    onSegment(session, position.offsetBytes - taken.from.offsetBytes, position);
    logger.debug('segment written', {
      position: formatPosition(taken.from),
      until: formatPosition(position),
    });
  }

  async #store(session: Session, taken: TakenBytes, signal: AbortSignal | undefined): Promise<Cursor> {
    const { store, record } = this.#parts;
    const { generation } = session;
    const { from } = taken;
    const place = { generation, from, ...previousEnd(session, taken) };
    if (await this.#fitsInMemory(session, taken)) {
      const end = endOf(taken.cursor);
      record?.intend(generation, { from, end });
      const { sizeBytes } = await uploadSegment(store, place, taken.bytes, signal);
      record?.stored(generation, { from, end, sizeBytes });
      return taken.cursor;
    }
    let reached = taken.cursor;
    const pieces = this.#takeThrough(taken, session.reachBytes, (cursor) => (reached = cursor));
    record?.intend(generation, { from, end: undefined });
    const { sizeBytes } = await uploadSegmentStream(store, place, pieces, signal);
    record?.stored(generation, { from, end: endOf(reached), sizeBytes });
    return reached;
  }

  /** Whether what was taken is all that has to be in this object. */
  async #fitsInMemory(session: Session, taken: TakenBytes): Promise<boolean> {
    const intended = this.#intendedAt(session, taken.from);
    if (intended !== undefined) {
      // Of one that was streamed nobody knows the end; under its name nothing else may be noted.
      if (intended.end === undefined) return false;
      if (isSameLogEnd(intended.end, endOf(taken.cursor))) return true;
      await this.#abandon(session, 'a segment that was being stored is not in the log any more');
    }
    const end = positionOf(taken.cursor);
    if (taken.from.offsetBytes > 0 || end.offsetBytes >= session.reachBytes) return true;
    const { position } = this.#parts.primary;
    return position !== undefined && comparePositions(end, position) >= 0;
  }

  /** What may have arrived under a name does not belong to the history of which the next object would be. */
  async #abandon(session: Session, why: string): Promise<never> {
    await this.#parts.primary.abandonGeneration(session.generation, why);
    throw new RivuletError('CHAIN_BROKEN', why);
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
      const cursor: Cursor = taken.cursor;
      // A failure would break off the whole object.
      const next = (): Taken => this.#parts.primary.take(cursor, this.#segmentBytesMax);
      taken = await readAgain(next, this.#parts);
    }
    if (taken.kind === 'lost') throw new RivuletError('CHAIN_BROKEN', taken.why);
  }

  /**
   * Looks whether what was stored in `session` is there: a snapshot, and the last segment.
   *
   * @throws RivuletError `CHAIN_BROKEN` when it is not; what the store throws
   */
  async requireStanding(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const { store } = this.#parts;
    const { generation, lastSegment } = session;
    if (!(await hasSnapshot(store, session, signal))) throw snapshotsRemoved();
    if (lastSegment === undefined) return;
    const key = segmentKey(generation, lastSegment);
    if (await isThere(store, key, { signal })) return;
    throw new RivuletError('CHAIN_BROKEN', `${key} has been removed`);
  }
}

/** Where the log before ended, if this destination holds it, and with which checksum, if this session shipped it. */
function previousEnd(
  { firstIndex, cursor }: Session,
  { from, previousEndBytes }: TakenBytes,
): Pick<SegmentPlace, 'previousEndBytes' | 'previousEndChecksum'> {
  const none = { previousEndBytes: undefined, previousEndChecksum: undefined };
  if (from.index <= firstIndex || previousEndBytes === undefined) return none;
  const isAtEnd = cursor.index === from.index - 1 && cursor.chain?.offsetBytes === previousEndBytes;
  return { previousEndBytes, previousEndChecksum: isAtEnd ? cursor.chain?.checksum : undefined };
}
