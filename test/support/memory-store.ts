import { RivuletError } from '../../src/base/errors.ts';
import { assertFolderPrefix, assertObjectKey } from '../../src/storage/object-key.ts';
import { objectExists, objectTooLong } from '../../src/storage/storage-error.ts';
import type {
  CallOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  ReadVersionedOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from '../../src/storage/object-store.ts';

interface Held {
  readonly bytes: Uint8Array;
  readonly timeMs: number;
  readonly version: string;
}

/** A store in memory whose listing order is as unhelpful as the contract allows, and whose times a test sets. */
export class MemoryStore implements ObjectStore {
  readonly type = 'memory';
  readonly location = 'memory:';
  readonly conditions = 'compare-and-swap';
  /** A test may give it whole seconds. */
  timeStepMs: number | undefined = 1;
  /** The time that the next write gets. */
  nowMs: number = Date.parse('2026-01-01T00:00:00Z');
  readonly objects: Map<string, Held>;
  #writes = 0;

  constructor(objects: Iterable<[string, Held]> = []) {
    this.objects = new Map(objects);
  }

  clone(): MemoryStore {
    const copy = new MemoryStore(this.objects);
    copy.nowMs = this.nowMs;
    return copy;
  }

  keys(): string[] {
    return [...this.objects.keys()].sort();
  }

  put(key: string, bytes: Uint8Array, timeMs: number = this.nowMs): void {
    this.objects.set(key, { bytes: new Uint8Array(bytes), timeMs, version: `v${++this.#writes}` });
  }

  bytesOf(key: string): Uint8Array {
    assertObjectKey(key);
    const held = this.objects.get(key);
    if (held === undefined) throw new RivuletError('STORAGE_NOT_FOUND', `there is no object ${key}`);
    return held.bytes;
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    options.signal?.throwIfAborted();
    assertFolderPrefix(prefix);
    const keys = this.keys().filter((key) => key.startsWith(prefix));
    for (const key of keys.toReversed()) {
      const held = this.objects.get(key);
      if (held === undefined) continue;
      const { bytes, timeMs } = held;
      yield { key, sizeBytes: bytes.length, modifiedAt: new Date(timeMs) };
    }
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    options.signal?.throwIfAborted();
    assertFolderPrefix(prefix);
    const under = this.keys().filter((key) => key.startsWith(prefix));
    const folders = under.map((key) => key.slice(prefix.length).split('/'));
    return [...new Set(folders.filter((parts) => parts.length > 1).map(([name]) => name as string))];
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    options.signal?.throwIfAborted();
    const { offsetBytes = 0, lengthBytes = Number.POSITIVE_INFINITY } = options;
    const bytes = this.bytesOf(key).slice(offsetBytes, offsetBytes + lengthBytes);
    const middle = bytes.length >>> 1;
    yield bytes.subarray(0, middle);
    options.signal?.throwIfAborted();
    yield bytes.subarray(middle);
    options.signal?.throwIfAborted();
  }

  async readBytes(key: string, options: CallOptions & { sizeHintBytes?: number } = {}): Promise<Uint8Array> {
    const { signal, sizeHintBytes: maxBytes = Number.POSITIVE_INFINITY } = options;
    signal?.throwIfAborted();
    const bytes = this.bytesOf(key);
    if (bytes.length > maxBytes) throw objectTooLong(this.location, key, maxBytes);
    return bytes.slice();
  }

  async readVersioned(key: string, options: ReadVersionedOptions = {}): Promise<VersionedObject> {
    const { signal, maxBytes } = options;
    const bytes = await this.readBytes(key, {
      signal,
      ...(maxBytes === undefined ? {} : { sizeHintBytes: maxBytes }),
    });
    const { version, timeMs } = this.objects.get(key) as Held;
    return { bytes, version, modifiedAt: new Date(timeMs) };
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    { onlyIf, signal }: WriteOptions = {},
  ): Promise<WrittenObject> {
    assertObjectKey(key);
    signal?.throwIfAborted();
    const bytes = body instanceof Uint8Array ? body.slice() : await gathered(body, signal);
    const present = this.objects.get(key);
    const isWanted = onlyIf === 'absent' ? present === undefined : onlyIf?.version === present?.version;
    if (onlyIf !== undefined && !isWanted) throw objectExists(this.location, key);
    this.put(key, bytes);
    const version = this.objects.get(key)?.version;
    return { key, sizeBytes: bytes.length, modifiedAt: new Date(this.nowMs), version };
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    for (const key of keys) assertObjectKey(key);
    for (const key of keys) this.objects.delete(key);
  }

  async close(): Promise<void> {
    // Nothing is held between calls.
  }
}

/** All of a body, or the signal's reason, also while the body hangs. */
async function gathered(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  aborted.promise.catch(() => undefined);
  const iterator = body[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted.promise]);
      signal?.throwIfAborted();
      if (next.done === true) return Buffer.concat(chunks);
      chunks.push(next.value.slice());
    }
  } catch (error) {
    void iterator.return?.().catch(() => undefined);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}
