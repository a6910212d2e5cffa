import { RivuletError } from '../../src/base/errors.ts';
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

export type CallKind = 'list' | 'listFolders' | 'read' | 'readBytes' | 'readVersioned' | 'write' | 'remove';

export interface StoreCall {
  readonly kind: CallKind;
  readonly key: string;
}

/** `fail` throws at once, `hang` waits for the signal, `half` takes half of a body and then fails. */
export type Fault = 'fail' | 'hang' | 'half';

/** A store that notes every call and misbehaves as a test says. */
export class FaultyStore implements ObjectStore {
  readonly type = 'faulty';
  readonly location = 'faulty:';
  readonly calls: StoreCall[] = [];
  /** Asked before each call; undefined lets it through. */
  fault: (call: StoreCall) => Fault | undefined = () => undefined;
  closed = 0;
  readonly #inner: ObjectStore;
  readonly conditions: Conditions;
  readonly timeStepMs: number | undefined;

  constructor(inner: ObjectStore) {
    this.#inner = inner;
    this.conditions = inner.conditions;
    this.timeStepMs = inner.timeStepMs;
  }

  /** The next `count` calls fail, then all is well. */
  failNext(count: number, matches: (call: StoreCall) => boolean = () => true): void {
    let left = count;
    this.fault = (call) => (left > 0 && matches(call) ? (left--, 'fail') : undefined);
  }

  keysOf(kind: CallKind): string[] {
    return this.calls.filter((call) => call.kind === kind).map(({ key }) => key);
  }

  async #enter(kind: CallKind, key: string, signal: AbortSignal | undefined): Promise<Fault | undefined> {
    const call = { kind, key };
    this.calls.push(call);
    signal?.throwIfAborted();
    const fault = this.fault(call);
    if (fault === 'fail') throw failure(call);
    if (fault === 'hang') await untilAborted(signal);
    return fault;
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    await this.#enter('list', prefix, options.signal);
    yield* this.#inner.list(prefix, options);
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    await this.#enter('listFolders', prefix, options.signal);
    return this.#inner.listFolders(prefix, options);
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    await this.#enter('read', key, options.signal);
    yield* this.#inner.read(key, options);
  }

  async readBytes(key: string, options: CallOptions = {}): Promise<Uint8Array> {
    await this.#enter('readBytes', key, options.signal);
    return this.#inner.readBytes(key, options);
  }

  async readVersioned(key: string, options: CallOptions = {}): Promise<VersionedObject> {
    await this.#enter('readVersioned', key, options.signal);
    return this.#inner.readVersioned(key, options);
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    const fault = await this.#enter('write', key, options.signal);
    const pieces = fault === 'half' ? halfOf(body, { kind: 'write', key }) : body;
    return this.#inner.write(key, pieces, options);
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    await this.#enter('remove', keys.join(' '), options.signal);
    await this.#inner.remove(keys, options);
  }

  async close(): Promise<void> {
    this.closed++;
    await this.#inner.close();
  }
}

function failure(call: StoreCall): RivuletError {
  return new RivuletError('STORAGE_FAILED', `${call.kind} of "${call.key}" failed on purpose`);
}

async function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  const alive = setInterval(() => undefined, 1000);
  try {
    return await new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  } finally {
    clearInterval(alive);
  }
}

async function* halfOf(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  call: StoreCall,
): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) yield body.subarray(0, body.length >>> 1);
  else {
    for await (const piece of body) {
      yield piece;
      break;
    }
  }
  throw failure(call);
}
