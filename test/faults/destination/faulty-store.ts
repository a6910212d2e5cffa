/** A destination in front of another one that is slow, hangs, or breaks off in the middle of what it is given. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RivuletError } from '../../../src/base/errors.ts';
import type {
  CallOptions,
  Conditions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from '../../../src/storage/object-store.ts';

export type Behaviour =
  | 'well'
  /** Each call takes long. */
  | 'slow'
  /** Writes never answer, until they are cancelled. */
  | 'hanging'
  /** Writes take half of their bytes, and fail. */
  | 'breaking'
  /** Writes store everything, and then fail all the same: the answer was lost. */
  | 'forgetful';

const SLOW_MS = 150;

export class FaultyStore implements ObjectStore {
  readonly type: string;
  readonly location: string;
  readonly conditions: Conditions;
  readonly #inner: ObjectStore;
  behaviour: Behaviour = 'well';

  constructor(inner: ObjectStore) {
    this.#inner = inner;
    this.type = inner.type;
    this.location = inner.location;
    this.conditions = inner.conditions;
  }

  async #delay(signal: AbortSignal | undefined): Promise<void> {
    if (this.behaviour === 'slow') await sleep(SLOW_MS, undefined, signal === undefined ? {} : { signal });
  }

  async *list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo> {
    await this.#delay(options?.signal);
    yield* this.#inner.list(prefix, options);
  }

  async listFolders(prefix: string, options?: CallOptions): Promise<string[]> {
    await this.#delay(options?.signal);
    return this.#inner.listFolders(prefix, options);
  }

  async *read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array> {
    await this.#delay(options?.signal);
    yield* this.#inner.read(key, options);
  }

  async readBytes(key: string, options?: CallOptions & { sizeHintBytes?: number }): Promise<Uint8Array> {
    await this.#delay(options?.signal);
    return this.#inner.readBytes(key, options);
  }

  async readVersioned(key: string, options?: CallOptions): Promise<VersionedObject> {
    await this.#delay(options?.signal);
    return this.#inner.readVersioned(key, options);
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteOptions,
  ): Promise<WrittenObject> {
    await this.#delay(options?.signal);
    if (this.behaviour === 'hanging') return hang(options?.signal);
    if (this.behaviour === 'breaking') return this.#inner.write(key, firstHalf(body), options);
    const info = await this.#inner.write(key, body, options);
    if (this.behaviour === 'forgetful') throw new RivuletError('STORAGE_FAILED', `no answer about ${key}`);
    return info;
  }

  async remove(keys: readonly string[], options?: CallOptions): Promise<void> {
    await this.#delay(options?.signal);
    await this.#inner.remove(keys, options);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }
}

async function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

async function* firstHalf(body: Uint8Array | AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const pieces = body instanceof Uint8Array ? [body] : body;
  for await (const piece of pieces) {
    yield piece.subarray(0, piece.length >>> 1);
    break;
  }
  throw new RivuletError('STORAGE_FAILED', 'the connection broke off');
}
