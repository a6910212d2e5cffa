/** One stretch of log bytes -> one object: LZ4 frame, annotation in the first segment of a log, name by position. */
import { encodeAnnotation } from '../generations/annotation.ts';
import { type Generation, type Position, segmentKey } from '../generations/names.ts';
import { encodeFrame, encodeFrameInTurns, encodeFrameStream } from '../codec/lz4-frame.ts';
import type { Checksum } from '../wal/checksum.ts';
import type { ObjectInfo, ObjectStore } from '../storage/object-store.ts';
import { createOnly } from './create-only.ts';

/** Up to this size the compression takes less time than a trip through the thread pool. */
const SYNC_BYTES = 128 * 1024;

export interface SegmentPlace {
  readonly generation: Generation;
  readonly from: Position;
  /** Where the log before ended, if this destination holds that log. */
  readonly previousEndBytes: number | undefined;
  /** The checksum of its last frame, as far as known. */
  readonly previousEndChecksum: Checksum | undefined;
}

function annotationOf(place: SegmentPlace): { annotation?: Uint8Array } {
  if (place.from.offsetBytes !== 0) return {};
  return {
    annotation: encodeAnnotation({
      kind: 'segment',
      generation: place.generation,
      index: place.from.index,
      ...(place.previousEndBytes === undefined ? {} : { previousEndBytes: place.previousEndBytes }),
      ...(place.previousEndChecksum === undefined ? {} : { previousEndChecksum: place.previousEndChecksum }),
    }),
  };
}

export async function uploadSegment(
  store: ObjectStore,
  place: SegmentPlace,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<ObjectInfo> {
  const options = annotationOf(place);
  const body =
    bytes.length <= SYNC_BYTES ? encodeFrame(bytes, options) : await encodeFrameInTurns(bytes, options);
  return store.write(segmentKey(place.generation, place.from), body, { ...createOnly(store), signal });
}

/** The same for a stretch that is too long to be held in memory. */
export async function uploadSegmentStream(
  store: ObjectStore,
  place: SegmentPlace,
  pieces: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<ObjectInfo> {
  const body = encodeFrameStream(pieces, annotationOf(place));
  return store.write(segmentKey(place.generation, place.from), body, { ...createOnly(store), signal });
}
