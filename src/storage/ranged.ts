/** A large object fetched in several ranges at once: one connection is often far slower than the line. */
import { forwardingStore } from './forwarding.ts';
import type { ObjectStore, ReadOptions } from './object-store.ts';
import { storageFailed } from './storage-error.ts';

export interface RangeOptions {
  /** Smaller reads are one request. */
  readonly thresholdBytes: number;
  readonly rangeBytes: number;
  /** Ranges under way or waiting to be given out: memory is at most this many times `rangeBytes`. */
  readonly rangesAtOnce: number;
}

/** 32 MiB of memory for one read. S3's own advice for ranges is 8 to 16 MiB. */
export const RANGE_OPTIONS: RangeOptions = {
  thresholdBytes: 16 * 1024 * 1024,
  rangeBytes: 8 * 1024 * 1024,
  rangesAtOnce: 4,
};

interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/**
 * `store`, with large reads whose size is told made in ranges, given out in order. All ranges are of one content only
 * if the object is not replaced meanwhile, which those of a replica never are.
 */
export function rangedStore(store: ObjectStore, options: Partial<RangeOptions> = {}): ObjectStore {
  const settings = { ...RANGE_OPTIONS, ...options };
  const { rangeBytes, rangesAtOnce } = settings;
  if (!(rangeBytes >= 1 && rangesAtOnce >= 1)) throw new RangeError('ranges need a size and a number');
  return forwardingStore(store, {
    read: (key: string, readOptions: ReadOptions = {}): AsyncIterable<Uint8Array> => {
      const wanted = wantedRange(readOptions);
      if (wanted === undefined || wanted.lengthBytes <= Math.max(settings.thresholdBytes, rangeBytes))
        return store.read(key, readOptions);
      return readInRanges(store, key, splitRange(wanted, rangeBytes), rangesAtOnce, readOptions);
    },
  });
}

/** What is asked for; undefined when nobody told the object's size. */
function wantedRange({ offsetBytes = 0, lengthBytes, sizeHintBytes }: ReadOptions): Range | undefined {
  if (sizeHintBytes === undefined) return undefined;
  const leftBytes = Math.max(0, sizeHintBytes - offsetBytes);
  return { offsetBytes, lengthBytes: Math.min(lengthBytes ?? leftBytes, leftBytes) };
}

function splitRange({ offsetBytes, lengthBytes }: Range, rangeBytes: number): Range[] {
  const count = Math.ceil(lengthBytes / rangeBytes);
  return Array.from({ length: count }, (_, i) => ({
    offsetBytes: offsetBytes + i * rangeBytes,
    lengthBytes: Math.min(rangeBytes, lengthBytes - i * rangeBytes),
  }));
}

async function* readInRanges(
  store: ObjectStore,
  key: string,
  ranges: readonly Range[],
  atOnce: number,
  { signal, sizeHintBytes }: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const pending: Promise<Uint8Array[]>[] = [];
  let next = 0;
  const begin = (): void => {
    const range = ranges[next++];
    if (range === undefined) return;
    const fetching = fetchRange(store, key, {
      ...range,
      ...(sizeHintBytes === undefined ? {} : { sizeHintBytes }),
      signal: stop.signal,
    });
    // One failure fails all, at once: its turn may come only after ranges that take long.
    fetching.catch((error: unknown) => stop.abort(error));
    pending.push(fetching);
  };
  try {
    for (let i = 0; i < atOnce; i++) begin();
    for (let range = pending[0]; range !== undefined; range = pending[0]) {
      const chunks = await range;
      for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
        yield chunk;
        signal?.throwIfAborted();
      }
      // Only now is its memory free.
      void pending.shift();
      begin();
    }
  } catch (error) {
    // The first failure is the cause of the others.
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    stop.abort(new Error('the reader has stopped'));
    await Promise.allSettled(pending);
  }
}

/** @throws RivuletError `STORAGE_FAILED` when the object ends inside the range: then it is not what was listed */
async function fetchRange(
  store: ObjectStore,
  key: string,
  options: ReadOptions & Range,
): Promise<Uint8Array[]> {
  const { offsetBytes, lengthBytes } = options;
  const chunks: Uint8Array[] = [];
  let gotBytes = 0;
  for await (const chunk of store.read(key, options)) {
    gotBytes += chunk.length;
    if (gotBytes > lengthBytes) break;
    chunks.push(chunk);
  }
  if (gotBytes === lengthBytes) return chunks;
  const problem = `${gotBytes} bytes came at byte ${offsetBytes}, expected ${lengthBytes}`;
  throw storageFailed(`cannot read ${key} at ${store.location}: ${problem}`, { retry: true });
}
