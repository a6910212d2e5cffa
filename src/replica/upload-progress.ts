/**
 * How far uploads get. Bytes count when the destination's side asks for them, and only where an attempt comes further
 * than all before it: an upload that breaks off at the same place again and again is no progress, however much it sends. The same place
 * means as much as buffers hold: how much of that was asked for when a disk is full is chance.
 */
import { forwardingStore } from '../storage/forwarding.ts';
import type { ObjectStore, WriteOptions, WrittenObject } from '../storage/object-store.ts';

/** Of a stream so much may be in buffers and parts that are on their way. */
const STREAM_AHEAD_BYTES = 8 * 1024 * 1024;

export class UploadProgress {
  #steps = 0;
  #storedCount = 0;
  /** The furthest that any attempt came since something was last stored. */
  #furthestBytes = 0;
  /** The furthest that an attempt came which broke off, since something was last stored. */
  #brokenOffBytes: number | undefined;
  /** The furthest that copies of the database came, which are made before they are uploaded, since something was last stored. */
  #furthestCopiedBytes = 0;
  readonly #underWay = new Set<{ unseenBytes: number }>();

  /** Changes with everything that is a step forward. */
  get steps(): number {
    return this.#steps;
  }

  /** Changes with everything that is stored. */
  get storedCount(): number {
    return this.#storedCount;
  }

  /** Bytes that were handed over and may be moving without anybody seeing it. */
  get unseenBytes(): number {
    return [...this.#underWay].reduce((sum, { unseenBytes }) => sum + unseenBytes, 0);
  }

  /** The destination holds more than before. */
  stored(): void {
    this.#steps++;
    this.#storedCount++;
    this.#furthestBytes = 0;
    this.#brokenOffBytes = undefined;
    this.#furthestCopiedBytes = 0;
  }

  /** A copy of the database, which is uploaded afterwards, has come so far. */
  copied(bytes: number): void {
    if (bytes <= this.#furthestCopiedBytes) return;
    this.#furthestCopiedBytes = bytes;
    this.#steps++;
  }

  /**
   * `store`, whose writes are watched.
   *
   * @param counts - whether the write of a key that begins now is one that everything else waits for
   */
  watched(store: ObjectStore, counts: (key: string) => boolean): ObjectStore {
    return forwardingStore(store, {
      write: async (key, body, options) =>
        counts(key) ? this.#write(store, key, body, options) : store.write(key, body, options),
    });
  }

  async #write(
    store: ObjectStore,
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions | undefined,
  ): Promise<WrittenObject> {
    const write = { unseenBytes: body instanceof Uint8Array ? body.length : 0, askedBytes: 0 };
    this.#underWay.add(write);
    try {
      return await store.write(key, body instanceof Uint8Array ? body : this.#counted(body, write), options);
    } catch (error) {
      if (write.askedBytes > 0) this.#brokenOffBytes = Math.max(this.#brokenOffBytes ?? 0, write.askedBytes);
      throw error;
    } finally {
      this.#underWay.delete(write);
    }
  }

  /** Who comes no further than this has not moved. */
  get #knownBytes(): number {
    if (this.#brokenOffBytes === undefined) return this.#furthestBytes;
    return Math.max(this.#furthestBytes, this.#brokenOffBytes + STREAM_AHEAD_BYTES);
  }

  async *#counted(
    chunks: AsyncIterable<Uint8Array>,
    write: { unseenBytes: number; askedBytes: number },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of chunks) {
      write.askedBytes += chunk.length;
      write.unseenBytes = Math.min(write.askedBytes, STREAM_AHEAD_BYTES);
      if (write.askedBytes > this.#knownBytes) {
        this.#furthestBytes = write.askedBytes;
        this.#steps++;
      }
      yield chunk;
    }
  }
}
