/** A cap on bytes per second, shared by everything that one store sends or receives. */
import type { Clock } from '../base/clock.ts';
import { forwardingStore } from './forwarding.ts';
import type { CallOptions, ObjectStore, ReadOptions, WriteOptions } from './object-store.ts';

/** Objects up to this size, the lease among them, never wait; what they cost is taken from those that do. */
export const TINY_BYTES: number = 4096;

/** What may go out at once after a pause, as time at the full rate. */
const BURST_MS = 250;
/** Large pieces wait in slices of this much time, so that several streams get on alike. */
const SLICE_MS = 100;
/** Tiny objects alone cannot stop the others for longer. */
const BEHIND_MAX_MS = 10_000;

/** Counts time rather than tokens: the moment at which everything that was let through will have gone out. */
export class Bandwidth {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #sliceBytes: number;
  #clearAtMs = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number, clock: Clock) {
    if (!(bytesPerSecond > 0)) throw new RangeError(`not a rate: ${bytesPerSecond} bytes per second`);
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#sliceBytes = Math.max(1, Math.floor(this.#bytesPerMs * SLICE_MS));
  }

  /** Waits until so many bytes may go; in turns with whoever waits as well. Rejects with the signal's reason. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    for (let left = bytes; left > 0; left -= this.#sliceBytes) {
      signal?.throwIfAborted();
      await this.#turn(Math.min(left, this.#sliceBytes) / this.#bytesPerMs, signal);
    }
  }

  /** Counts bytes that do not wait. */
  charge(bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    const clearAtMs = this.#startMs(nowMs) + bytes / this.#bytesPerMs;
    this.#clearAtMs = Math.max(this.#clearAtMs, Math.min(clearAtMs, nowMs + BEHIND_MAX_MS));
  }

  async #turn(costMs: number, signal: AbortSignal | undefined): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const startMs = this.#startMs(nowMs);
    this.#clearAtMs = startMs + costMs;
    if (startMs <= nowMs) return;
    try {
      await this.#clock.sleep(startMs - nowMs, signal);
    } catch (error) {
      // What was not sent is given back to those behind.
      this.#clearAtMs -= costMs;
      throw error;
    }
  }

  /** When a byte that comes now may go: a pause leaves only so much unused time to spend. */
  #startMs(nowMs: number): number {
    return Math.max(this.#clearAtMs, nowMs - BURST_MS);
  }
}

export interface BandwidthCaps {
  readonly uploads?: Bandwidth | undefined;
  readonly downloads?: Bandwidth | undefined;
}

/**
 * `store`, held to a cap of content bytes; headers, and what is sent again below, are not counted. A whole object waits
 * before it is written, and after it was read.
 */
export function pacedStore(store: ObjectStore, { uploads, downloads }: BandwidthCaps): ObjectStore {
  if (uploads === undefined && downloads === undefined) return store;
  const received = async (bytes: Uint8Array, options: CallOptions | undefined): Promise<void> =>
    wait(downloads, bytes.length, options?.signal);
  return forwardingStore(store, {
    read: (key: string, options?: ReadOptions): AsyncIterable<Uint8Array> =>
      paced(store.read(key, options), downloads, options?.signal),
    async readBytes(key, options) {
      const bytes = await store.readBytes(key, options);
      await received(bytes, options);
      return bytes;
    },
    async readVersioned(key, options) {
      const object = await store.readVersioned(key, options);
      await received(object.bytes, options);
      return object;
    },
    async write(key, body, options?: WriteOptions) {
      if (!(body instanceof Uint8Array))
        return store.write(key, paced(body, uploads, options?.signal), options);
      await wait(uploads, body.length, options?.signal);
      return store.write(key, body, options);
    },
  });
}

async function wait(
  cap: Bandwidth | undefined,
  bytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (bytes <= TINY_BYTES) cap?.charge(bytes);
  else await cap?.take(bytes, signal);
}

async function* paced(
  source: AsyncIterable<Uint8Array>,
  cap: Bandwidth | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    await cap?.take(chunk.length, signal);
    yield chunk;
  }
}
