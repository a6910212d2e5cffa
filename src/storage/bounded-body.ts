/**
 * Bodies of objects, no longer than is expected of them. A server may go on sending for ever, by malice or because something
 * else answers in its place; what a listing said of an object, or what the caller can use, is where reading ends.
 */
import { forwardingStore } from './forwarding.ts';
import type { ObjectStore, ReadOptions } from './object-store.ts';
import { objectTooLong } from './storage-error.ts';

/** Of an object that is read whole although nobody told its size: twice the longest segment that is written. */
export const WHOLE_BYTES_MAX: number = 16 * 1024 * 1024;

/** What a bound is about, for the error. */
export interface BoundedObject {
  readonly key: string;
  readonly location: string;
  readonly maxBytes: number;
}

/** A body whole. @throws RivuletError `REPLICA_INVALID` as soon as it is longer */
export async function wholeBody(
  body: AsyncIterable<Uint8Array>,
  { key, location, maxBytes }: BoundedObject,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const chunk of body) {
    lengthBytes += chunk.length;
    if (lengthBytes > maxBytes) throw objectTooLong(location, key, maxBytes);
    chunks.push(chunk);
  }
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, lengthBytes);
}

/**
 * `store`, whose streams end where they must: with the bytes that were asked for, and with an error behind the size that a
 * listing told. Whole objects are bounded by each backend, which collects them.
 */
export function boundedStore(store: ObjectStore): ObjectStore {
  return forwardingStore(store, {
    read: (key: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> =>
      boundedBody(store.read(key, options), { key, location: store.location }, options),
  });
}

async function* boundedBody(
  body: AsyncIterable<Uint8Array>,
  { key, location }: { readonly key: string; readonly location: string },
  { offsetBytes = 0, lengthBytes = Number.POSITIVE_INFINITY, sizeHintBytes }: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let wantedBytes = lengthBytes;
  let toldBytes = sizeHintBytes === undefined ? Number.POSITIVE_INFINITY : sizeHintBytes - offsetBytes;
  for await (const chunk of body) {
    const part = chunk.length > wantedBytes ? chunk.subarray(0, wantedBytes) : chunk;
    wantedBytes -= part.length;
    toldBytes -= part.length;
    if (toldBytes < 0 && part.length > 0) throw objectTooLong(location, key, sizeHintBytes ?? 0);
    yield part;
    if (wantedBytes <= 0) return;
  }
}
