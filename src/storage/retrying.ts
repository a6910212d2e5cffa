/** `ObjectStore` that makes a call again when it failed in a way that may pass, and ends one in which nothing moves. */
import type { Clock } from '../base/clock.ts';
import type { RivuletError } from '../base/errors.ts';
import type {
  CallOptions,
  Conditions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  ReadVersionedOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from './object-store.ts';
import { DOWNLOAD_STALL_MS, StallWatch, UPLOAD_STALL_MS, attemptLimitMs, withinTime } from './patience.ts';
import { orFoundWritten } from './put-again.ts';
import type { StorageRetrier } from './retry.ts';
import { storageFailed } from './storage-error.ts';

/** What an object read whole may have when nobody told its size: as much as the longest segment. */
const UNTOLD_BYTES = 8 * 1024 * 1024;

/** For each object to remove, as if it were a body of that size: some destinations ask for each. */
const REMOVAL_BYTES = 4096;

/**
 * `store`, with its calls made again by `retrier`. What cannot be made again is a streamed `write`: its body is gone.
 *
 * A conditional write whose answer was lost is refused when it is made again, by its own work. Then the object is
 * read back, and the same bytes mean that it was written.
 */
export function retryingStore(
  store: ObjectStore,
  retrier: StorageRetrier,
  clock: Clock,
  answerMs?: number,
): ObjectStore {
  return new RetryingStore(store, retrier, clock, answerMs);
}

class RetryingStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #retrier: StorageRetrier;
  readonly #clock: Clock;
  readonly #answerMs: number | undefined;

  constructor(store: ObjectStore, retrier: StorageRetrier, clock: Clock, answerMs: number | undefined) {
    this.#store = store;
    this.#retrier = retrier;
    this.#clock = clock;
    this.#answerMs = answerMs;
  }

  get type(): string {
    return this.#store.type;
  }

  get location(): string {
    return this.#store.location;
  }

  get conditions(): Conditions {
    return this.#store.conditions;
  }

  get timeStepMs(): number | undefined {
    return this.#store.timeStepMs;
  }

  /**
   * Begun again after a failure. To know which objects were given already would take the memory of all their names; so they
   * come again, and only what comes further than before counts as progress.
   */
  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    const what = `list ${prefix}`;
    const attempts = this.#retrier.begin(what, options.signal);
    let mostObjects = 0;
    for (;;) {
      try {
        const source = (signal: AbortSignal): AsyncIterable<ObjectInfo> =>
          this.#store.list(prefix, { signal });
        let objects = 0;
        for await (const info of this.#unlessStalled(what, options.signal, source)) {
          objects += 1;
          if (objects > mostObjects) {
            mostObjects = objects;
            attempts.progressed();
          }
          yield info;
        }
        attempts.succeeded();
        return;
      } catch (error) {
        await attempts.failed(error);
      }
    }
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    const what = `list ${prefix}`;
    return this.#whole(what, options, 0, async (signal) =>
      this.#retrier.whileWaiting(what, this.#store.listFolders(prefix, { signal })),
    );
  }

  /** Gone on with at the byte where it broke off. */
  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const what = `read ${key}`;
    const attempts = this.#retrier.begin(what, options.signal);
    const promisedBytes = promised(options);
    let receivedBytes = 0;
    let shortBytes: number | undefined;
    for (;;) {
      try {
        const source = (signal: AbortSignal): AsyncIterable<Uint8Array> =>
          this.#store.read(key, { ...rest(options, receivedBytes), signal });
        for await (const chunk of this.#unlessStalled(what, options.signal, source)) {
          receivedBytes += chunk.length;
          if (chunk.length > 0) attempts.progressed();
          yield chunk;
        }
        if (receivedBytes >= promisedBytes) {
          attempts.succeeded();
          return;
        }
        // A connection that breaks can look like an end; the same end twice is one.
        const isEnd = shortBytes === receivedBytes;
        shortBytes = receivedBytes;
        throw this.#tooShort(key, receivedBytes, promisedBytes, isEnd);
      } catch (error) {
        await attempts.failed(error);
        if (receivedBytes < (options.lengthBytes ?? Number.POSITIVE_INFINITY)) continue;
        attempts.succeeded();
        return;
      }
    }
  }

  async readBytes(key: string, options: CallOptions & { sizeHintBytes?: number } = {}): Promise<Uint8Array> {
    const bodyBytes = options.sizeHintBytes ?? UNTOLD_BYTES;
    return this.#whole(`read ${key}`, options, bodyBytes, async (signal) =>
      this.#store.readBytes(key, { ...options, signal }),
    );
  }

  async readVersioned(key: string, options: ReadVersionedOptions = {}): Promise<VersionedObject> {
    const what = `read ${key}`;
    return this.#whole(what, options, UNTOLD_BYTES, async (signal) =>
      this.#retrier.whileWaiting(what, this.#store.readVersioned(key, { ...options, signal })),
    );
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    if (!(body instanceof Uint8Array)) return this.#writeStream(key, body, options);
    return this.#whole(`write ${key}`, options, body.length, async (signal, number) => {
      const put = async (): Promise<WrittenObject> => this.#store.write(key, body, { ...options, signal });
      return orFoundWritten(this.#store, key, body, { number, signal }, put);
    });
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    const bodyBytes = keys.length * REMOVAL_BYTES;
    await this.#whole(`remove ${keys.length} objects`, options, bodyBytes, async (signal) =>
      this.#store.remove(keys, { signal }),
    );
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  /** A call that is made again as a whole. */
  async #whole<T>(
    what: string,
    { signal }: CallOptions,
    bodyBytes: number,
    call: (signal: AbortSignal, number: number) => Promise<T>,
  ): Promise<T> {
    const attempt = async (number: number): Promise<T> =>
      withinTime(
        this.#clock,
        attemptLimitMs(bodyBytes, this.#answerMs),
        this.#named(what),
        signal,
        async (inner) => call(inner, number),
      );
    return this.#retrier.run(what, attempt, signal);
  }

  async #writeStream(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: WriteOptions,
  ): Promise<WrittenObject> {
    options.signal?.throwIfAborted();
    const watch = new StallWatch(this.#clock, UPLOAD_STALL_MS, this.#named(`write ${key}`), options.signal);
    const source = whileNotWaiting(body, watch);
    try {
      watch.start();
      return await watch.orEnded(this.#store.write(key, source, { ...options, signal: watch.signal }));
    } finally {
      watch.end();
    }
  }

  /** What `source` gives, ended when nothing comes for too long. */
  async *#unlessStalled<T>(
    what: string,
    signal: AbortSignal | undefined,
    source: (signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    signal?.throwIfAborted();
    const watch = new StallWatch(this.#clock, DOWNLOAD_STALL_MS, this.#named(what), signal);
    const iterator = source(watch.signal)[Symbol.asyncIterator]();
    let isDone = false;
    const first = async (): Promise<IteratorResult<T>> => this.#retrier.whileWaiting(what, iterator.next());
    try {
      for (let isFirst = true; ; isFirst = false) {
        const next = await watch.watched(isFirst ? first : async () => iterator.next());
        isDone = next.done === true;
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      // What has thrown is at its end; what hangs would never answer.
      isDone = true;
      if (watch.signal.aborted) void closeQuietly(iterator);
      throw error;
    } finally {
      watch.end();
      if (!isDone) await iterator.return?.();
    }
  }

  #tooShort(key: string, receivedBytes: number, promisedBytes: number, isEnd: boolean): RivuletError {
    const problem = `${receivedBytes} bytes came, expected ${promisedBytes}`;
    return storageFailed(`cannot ${this.#named(`read ${key}`)}: ${problem}`, { retry: !isEnd });
  }

  #named(what: string): string {
    return `${what} at ${this.location}`;
  }
}

/** How many bytes must come, by the size that a listing told; 0 when nobody knows. */
function promised({
  offsetBytes = 0,
  lengthBytes = Number.POSITIVE_INFINITY,
  sizeHintBytes = 0,
}: ReadOptions): number {
  return Math.max(0, Math.min(lengthBytes, sizeHintBytes - offsetBytes));
}

/** The options of a read that goes on behind the bytes that came. */
function rest(options: ReadOptions, receivedBytes: number): ReadOptions {
  if (receivedBytes === 0) return options;
  const { offsetBytes = 0, lengthBytes } = options;
  return {
    ...options,
    offsetBytes: offsetBytes + receivedBytes,
    ...(lengthBytes === undefined ? {} : { lengthBytes: lengthBytes - receivedBytes }),
  };
}

/** `body`, with the watch paused while the body itself is waited for. */
async function* whileNotWaiting(
  body: AsyncIterable<Uint8Array>,
  watch: StallWatch,
): AsyncGenerator<Uint8Array, void, undefined> {
  watch.pause();
  for await (const chunk of body) {
    watch.start();
    yield chunk;
    watch.pause();
  }
  watch.start();
}

async function closeQuietly(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The reason why it was given up is what is reported.
  }
}
