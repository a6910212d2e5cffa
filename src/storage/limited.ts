/** Bounds how many calls one store has under way, without letting long ones hold up short ones. */
import { CallLane } from './call-lane.ts';
import { forwardingStore } from './forwarding.ts';
import type { CallOptions, ObjectInfo, ObjectStore, ReadOptions, WriteOptions } from './object-store.ts';

export interface CallLimits {
  /** Calls that are one request or a few: whole objects, removals, folders. */
  readonly smallCalls: number;
  /** Streamed reads and writes, which may take hours. */
  readonly streams: number;
  /** Listings that are being read. */
  readonly listings: number;
}

/**
 * Fewer than the connections that backends keep (50 with S3), enough to hide the time of a round trip.
 */
export const CALL_LIMITS: CallLimits = { smallCalls: 16, streams: 8, listings: 4 };

/**
 * `store`, with its calls waiting in three lanes: a snapshot that is uploaded for an hour holds up no segment and no
 * lease. Who goes through a listing may read or write streams, and who streams may make small calls, without waiting
 * for a place that is their own: each lane is only waited for from the lanes before it.
 */
export function limitedStore(store: ObjectStore, limits: Partial<CallLimits> = {}): ObjectStore {
  const { smallCalls, streams, listings } = { ...CALL_LIMITS, ...limits };
  const lanes = {
    small: new CallLane(smallCalls),
    streams: new CallLane(streams),
    listings: new CallLane(listings),
  };
  return forwardingStore(store, {
    list: (prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo> =>
      inLane(lanes.listings, options?.signal, () => store.list(prefix, options)),
    listFolders: async (prefix, options?: CallOptions) =>
      lanes.small.run(options?.signal, async () => store.listFolders(prefix, options)),
    read: (key: string, options?: ReadOptions): AsyncIterable<Uint8Array> =>
      inLane(lanes.streams, options?.signal, () => store.read(key, options)),
    readBytes: async (key, options) =>
      lanes.small.run(options?.signal, async () => store.readBytes(key, options)),
    readVersioned: async (key, options) =>
      lanes.small.run(options?.signal, async () => store.readVersioned(key, options)),
    async write(key, body, options?: WriteOptions) {
      const lane = body instanceof Uint8Array ? lanes.small : lanes.streams;
      return lane.run(options?.signal, async () => store.write(key, body, options));
    },
    remove: async (keys, options) =>
      lanes.small.run(options?.signal, async () => store.remove(keys, options)),
  });
}

async function* inLane<T>(
  lane: CallLane,
  signal: AbortSignal | undefined,
  source: () => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  await lane.enter(signal);
  try {
    yield* source();
  } finally {
    lane.leave();
  }
}
