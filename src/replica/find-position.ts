/**
 * Where a destination stands in the present generation, by what it really holds: the newest snapshot, an unbroken
 * row of logs from there, and the last segment, whose bytes must be what the live log has at that place. Where it is
 * encrypted and cannot be read here, what was noted about it when it was stored takes the place of its bytes.
 */
import { isRivuletError, type RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { decodeFrame } from '../codec/lz4-frame.ts';
import type { SnapshotAnnotation } from '../generations/annotation.ts';
import type { GenerationInventory, SegmentEntry, SnapshotEntry } from '../generations/inventory.ts';
import type { Generation, Position } from '../generations/names.ts';
import type { Cursor } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import { SnapshotFault } from '../restore/faults.ts';
import { peekSnapshot } from '../restore/load-snapshot.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { endOfNewest, type UploadRecord } from './upload-record.ts';

/** The last segment is read whole to learn its length; one larger than this was not written by this program. */
const LAST_SEGMENT_BYTES_MAX = 256 * 1024 * 1024;

export interface FindParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly logger: Logger;
  /** What is noted here about what was stored; see `upload-record.ts`. */
  readonly record?: UploadRecord | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FoundPosition {
  readonly cursor: Cursor;
  readonly snapshot: SnapshotEntry;
  /** Where the last segment begins; undefined where there is nothing but the snapshot. */
  readonly lastSegment: Position | undefined;
}

/** The logs from the snapshot's on: each one there and beginning at its start, none missing between. */
function logsAreUnbroken(segments: readonly SegmentEntry[], snapshot: SnapshotEntry): boolean {
  let index = snapshot.index - 1;
  for (const segment of segments) {
    if (segment.index === index) continue;
    if (segment.index !== index + 1 || segment.offsetBytes !== 0) return false;
    index = segment.index;
  }
  return true;
}

/**
 * @returns undefined when the destination needs a fresh snapshot; why is logged
 * @throws RivuletError when the destination cannot be read
 */
export async function findPosition(
  parts: FindParts,
  held: GenerationInventory | undefined,
): Promise<FoundPosition | undefined> {
  const snapshot = held?.snapshots.at(-1);
  if (held === undefined || snapshot === undefined) return undefined;
  const segments = held.segments.filter((segment) => segment.index >= snapshot.index);
  if (!logsAreUnbroken(segments, snapshot)) {
    parts.logger.warn('the destination has a gap after its newest snapshot', { generation: held.generation });
    return undefined;
  }
  const last = segments.at(-1);
  const cursor = await (last === undefined
    ? cursorAtSnapshot(parts, held, snapshot)
    : cursorAfter(parts, held, last));
  if (cursor === undefined) {
    parts.logger.warn("what follows the destination's last segment is not at hand", {
      generation: held.generation,
      last: last?.key ?? snapshot.key,
    });
    return undefined;
  }
  return { cursor, snapshot, lastSegment: last && { index: last.index, offsetBytes: last.offsetBytes } };
}

/**
 * Nothing but a snapshot is there: the log that it was made with must still be here as it was, up to where the snapshot
 * stands. After a power cut the end of a log that was not synced may be gone, and other frames in its place.
 */
async function cursorAtSnapshot(
  parts: FindParts,
  { generation }: GenerationInventory,
  snapshot: SnapshotEntry,
): Promise<Cursor | undefined> {
  const isAsItWas = await isLogOf(parts, generation, snapshot);
  return isAsItWas ? parts.primary.resumeAtStart(generation, snapshot.index) : undefined;
}

/** By what the snapshot says of itself; where it cannot be read here, by the machine not having been started anew. */
async function isLogOf(
  { primary, store, logger, signal = new AbortController().signal }: FindParts,
  generation: Generation,
  snapshot: SnapshotEntry,
): Promise<boolean> {
  try {
    const { annotation } = await peekSnapshot(store, generation, snapshot, signal);
    return annotation !== undefined && (await isLogAt(primary, annotation));
  } catch (error) {
    if (isRivuletError(error, 'AGE_KEY_MISSING', 'AGE_KEY_WRONG')) return primary.ranThroughout(generation);
    if (!(error instanceof SnapshotFault)) throw error;
    logger.warn("the destination's last snapshot is damaged", { key: snapshot.key, error });
    return false;
  }
}

async function isLogAt(primary: Primary, snapshot: SnapshotAnnotation): Promise<boolean> {
  const { generation, index, offsetBytes, salts, checksum } = snapshot;
  if (salts === undefined) return isStartOfLogAt(primary, snapshot);
  if (checksum === undefined) return false;
  return (await primary.resumeAtEnd(generation, index, { offsetBytes, salts, checksum })) !== undefined;
}

/** Nothing of its log is in it: it is what the log before left, or the generation's very beginning. */
function isStartOfLogAt(
  primary: Primary,
  { generation, index, previousEndBytes, previousEndChecksum }: SnapshotAnnotation,
): boolean {
  if (previousEndBytes === undefined || previousEndChecksum === undefined)
    return index === 0 && primary.ranThroughout(generation);
  return primary.hasLogEnd(generation, index - 1, previousEndBytes, previousEndChecksum);
}

/** By the content of the last segment where it can be read, else by what was noted here about it. */
async function cursorAfter(
  parts: FindParts,
  held: GenerationInventory,
  last: SegmentEntry,
): Promise<Cursor | undefined> {
  try {
    const { content } = decodeFrame(await readLast(parts, last), { maxBytes: LAST_SEGMENT_BYTES_MAX });
    return await parts.primary.resumeAfter(held.generation, last, content);
  } catch (error) {
    if (isRivuletError(error, 'AGE_KEY_MISSING', 'AGE_KEY_WRONG'))
      return cursorByNote(parts, held, last, error);
    if (!isRivuletError(error, 'LZ4_INVALID', 'AGE_INVALID', 'WAL_INVALID', 'REPLICA_INVALID')) throw error;
    parts.logger.warn("the destination's last segment is damaged", { key: last.key, error });
    return undefined;
  }
}

async function readLast({ store, signal }: FindParts, last: SegmentEntry): Promise<Uint8Array> {
  const sizeHintBytes = Math.min(last.sizeBytes, LAST_SEGMENT_BYTES_MAX);
  return store.readBytes(last.key, { signal, sizeHintBytes });
}

async function cursorByNote(
  { primary, store, logger, record }: FindParts,
  { generation }: GenerationInventory,
  newest: SegmentEntry,
  unreadable: RivuletError,
): Promise<Cursor | undefined> {
  const noted = endOfNewest(record?.note, { generation, location: store.location, newest });
  if (noted.kind === 'unknown') {
    const fields = { key: newest.key, why: noted.why, unreadable: unreadable.code };
    logger.warn("the destination's last segment cannot be read here, nor is it known where it ends", fields);
    return undefined;
  }
  const cursor = await primary.resumeAtEnd(generation, newest.index, noted.end);
  if (cursor !== undefined) {
    record?.proven(generation, { from: newest, end: noted.end, sizeBytes: newest.sizeBytes });
  }
  return cursor;
}
