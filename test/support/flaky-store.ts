import type {
  CallOptions,
  Conditions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from '../../src/storage/object-store.ts';
import { storageFailed } from '../../src/storage/storage-error.ts';

/**
 * What happens to a call: it fails before it has begun; it is done, but its answer is lost; its content breaks off, or
 * ends as if it were whole, after so many items or bytes.
 */
export type Trouble =
  | 'before'
  | 'lost-answer'
  | { readonly breaksAfter: number }
  | { readonly endsAfter: number };

export function passingTrouble(): Error {
  return storageFailed('the network is in trouble', { retry: true });
}

/** A store behind a bad network. Only whole writes lose their answers: nobody can make a streamed one again. */
export class FlakyStore implements ObjectStore {
  readonly type = 'flaky';
  readonly location = 'flaky:';
  readonly conditions: Conditions;
  readonly timeStepMs: number | undefined;
  calls = 0;
  readonly #inner: ObjectStore;
  readonly #trouble: (call: string) => Trouble | undefined;

  /** @param trouble - asked for each call, by the method's name */
  constructor(inner: ObjectStore, trouble: (call: string) => Trouble | undefined) {
    this.#inner = inner;
    this.#trouble = trouble;
    this.conditions = inner.conditions;
    this.timeStepMs = inner.timeStepMs;
  }

  list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo> {
    const source = this.#inner.list(prefix, options);
    return this.#troubled(this.#next('list'), source, () => 1);
  }

  async listFolders(prefix: string, options?: CallOptions): Promise<string[]> {
    return this.#call('listFolders', async () => this.#inner.listFolders(prefix, options));
  }

  read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array> {
    // Asked only when the call gets there.
    const source = bytewise(() => this.#inner.read(key, options));
    return this.#troubled(this.#next('read'), source, (chunk) => chunk.length);
  }

  async readBytes(key: string, options?: CallOptions & { sizeHintBytes?: number }): Promise<Uint8Array> {
    return this.#call('readBytes', async () => this.#inner.readBytes(key, options));
  }

  async readVersioned(key: string, options?: CallOptions): Promise<VersionedObject> {
    return this.#call('readVersioned', async () => this.#inner.readVersioned(key, options));
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteOptions,
  ): Promise<WrittenObject> {
    if (!(body instanceof Uint8Array)) return this.#inner.write(key, body, options);
    return this.#call('write', async () => this.#inner.write(key, body, options));
  }

  async remove(keys: readonly string[], options?: CallOptions): Promise<void> {
    await this.#call('remove', async () => this.#inner.remove(keys, options));
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  #next(call: string): Trouble | undefined {
    this.calls++;
    return this.#trouble(call);
  }

  async #call<T>(name: string, call: () => Promise<T>): Promise<T> {
    const trouble = this.#next(name);
    if (trouble === 'before') throw passingTrouble();
    const answer = await call();
    if (trouble !== undefined) throw passingTrouble();
    return answer;
  }

  async *#troubled<T>(
    trouble: Trouble | undefined,
    source: AsyncIterable<T>,
    sizeOf: (item: T) => number,
  ): AsyncGenerator<T> {
    if (trouble === 'before') throw passingTrouble();
    const limit = typeof trouble !== 'object' ? Number.POSITIVE_INFINITY : Object.values(trouble)[0]!;
    let size = 0;
    for await (const item of source) {
      size += sizeOf(item);
      if (size > limit && typeof trouble === 'object' && 'endsAfter' in trouble) return;
      if (size > limit) throw passingTrouble();
      yield item;
    }
    if (trouble === 'lost-answer') throw passingTrouble();
  }
}

/** Small and uneven chunks, so that a break can come anywhere. */
async function* bytewise(read: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of read()) {
    const size = Math.max(1, Math.ceil(chunk.length / 7));
    for (let at = 0; at < chunk.length; at += size) yield chunk.subarray(at, at + size);
  }
}
