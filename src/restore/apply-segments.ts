/** Feeds fetched segments to the applier, decoding each on the way. */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { isRivuletError } from '../base/errors.ts';
import { decodeFrame } from '../codec/decode-frame.ts';
import { decodeFrameStream } from '../codec/decode-frame-stream.ts';
import { findAnnotation } from '../generations/annotation.ts';
import type { SegmentEntry } from '../generations/inventory.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { ChainApplier } from './chain-applier.ts';
import { ChainFault, withKey } from './faults.ts';
import { type FetchedSegment, fetchSegments } from './fetch-segments.ts';

/** LZ4 makes at most 255 bytes of one, so an object up to this size fits in memory whatever it holds. */
const WHOLE_BYTES_MAX = 128 * 1024;
const DECODED_BYTES_MAX = WHOLE_BYTES_MAX * 255;

/**
 * How long segments may follow each other without a turn for others, signals among them: where the store answers at
 * once, nothing here waits for the event loop.
 */
const TURN_MS = 20;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Decodes a large object block by block. */
async function applyStream(
  applier: ChainApplier,
  segment: SegmentEntry,
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  const payloads: Uint8Array[] = [];
  let begun = false;
  for await (const chunk of decodeFrameStream(source, {
    onAnnotation: (payload) => payloads.push(payload),
  })) {
    if (!begun) applier.begin(segment, findAnnotation(payloads, segment.key));
    begun = true;
    applier.feed(chunk);
  }
  if (!begun) applier.begin(segment, findAnnotation(payloads, segment.key));
  applier.end();
}

function applyWhole(applier: ChainApplier, segment: SegmentEntry, bytes: Uint8Array): void {
  const { content, annotations } = decodeFrame(bytes, { maxBytes: DECODED_BYTES_MAX });
  applier.begin(segment, findAnnotation(annotations, segment.key));
  applier.feed(content);
  applier.end();
}

/** What makes this object unusable, as opposed to a destination or disk that fails. */
function asChainFault(segment: SegmentEntry, error: unknown): unknown {
  if (isRivuletError(error, 'LZ4_INVALID', 'AGE_INVALID', 'REPLICA_INVALID')) {
    return new ChainFault(segment.key, segment, `${segment.key} is damaged: ${error.message}`, {
      cause: error,
    });
  }
  if (isRivuletError(error, 'STORAGE_NOT_FOUND')) {
    const problem = `${segment.key} vanished while the database was restored`;
    return new ChainFault(segment.key, segment, problem, { cause: error });
  }
  return isRivuletError(error, 'AGE_KEY_MISSING', 'AGE_KEY_WRONG') ? withKey(segment.key, error) : error;
}

async function applyOne(
  applier: ChainApplier,
  { segment, bytes }: FetchedSegment,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (bytes !== undefined && bytes.length <= WHOLE_BYTES_MAX) applyWhole(applier, segment, bytes);
    else
      await applyStream(
        applier,
        segment,
        bytes === undefined
          ? store.read(segment.key, { sizeHintBytes: segment.sizeBytes, signal })
          : once(bytes),
      );
  } catch (error) {
    throw asChainFault(segment, error);
  }
}

/** The segment whose object could not be fetched: the next one in order. */
async function* fetchedInOrder(
  store: ObjectStore,
  segments: readonly SegmentEntry[],
  options: { parallelism: number; signal: AbortSignal },
): AsyncGenerator<FetchedSegment> {
  let next = 0;
  try {
    for await (const fetched of fetchSegments(store, segments, options)) {
      next += 1;
      yield fetched;
    }
  } catch (error) {
    const segment = segments[next];
    throw segment === undefined ? error : asChainFault(segment, error);
  }
}

/**
 * Applies `segments` in order.
 *
 * @throws ChainFault for the first one that is damaged or does not belong where it lies
 */
export async function applySegments(
  applier: ChainApplier,
  segments: readonly SegmentEntry[],
  options: {
    readonly store: ObjectStore;
    readonly parallelism: number;
    readonly signal: AbortSignal;
    readonly onSegment: (segment: SegmentEntry) => void;
  },
): Promise<void> {
  const { store, signal } = options;
  let turnEndsMs = performance.now() + TURN_MS;
  for await (const fetched of fetchedInOrder(store, segments, options)) {
    if (performance.now() >= turnEndsMs) {
      await yieldToOthers();
      turnEndsMs = performance.now() + TURN_MS;
    }
    signal.throwIfAborted();
    await applyOne(applier, fetched, store, signal);
    options.onSegment(fetched.segment);
  }
}
