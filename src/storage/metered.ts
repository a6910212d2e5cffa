import type { RequestKind } from './backend.ts';
import { forwardingStore } from './forwarding.ts';
import type {
  CallOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  ReadVersionedOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from './object-store.ts';

/** Where the counts go. */
export interface StoreMeter {
  /** So many requests went out. Failed ones count: they cost money too. */
  operation(kind: RequestKind, count: number): void;
  /**
   * Bytes of object content that went out (`PUT`) or came in (`GET`): of streams also those of a call that then failed,
   * of whole objects only those of calls that worked, since nobody knows how far a failed one came.
   */
  bytes(kind: 'PUT' | 'GET', count: number): void;
}

export interface MeteringOptions {
  /** The store tells each of its requests to the meter by itself, so that only bytes are left to count. */
  readonly countsItself?: boolean;
}

/**
 * `store`, with its operations and bytes told to `meter`. A store that does not count by itself is taken to make one
 * request for each call, and one for each object that is removed.
 */
export function meteredStore(
  store: ObjectStore,
  meter: StoreMeter,
  { countsItself = false }: MeteringOptions = {},
): ObjectStore {
  const operation = (kind: RequestKind, count: number): void => {
    if (!countsItself) meter.operation(kind, count);
  };
  return forwardingStore(store, {
    list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo> {
      operation('LIST', 1);
      return store.list(prefix, options);
    },
    async listFolders(prefix: string, options?: CallOptions): Promise<string[]> {
      operation('LIST', 1);
      return store.listFolders(prefix, options);
    },
    read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array> {
      operation('GET', 1);
      return counted(store.read(key, options), (count) => meter.bytes('GET', count));
    },
    async readBytes(key: string, options?: CallOptions & { sizeHintBytes?: number }): Promise<Uint8Array> {
      operation('GET', 1);
      const bytes = await store.readBytes(key, options);
      meter.bytes('GET', bytes.length);
      return bytes;
    },
    async readVersioned(key: string, options?: ReadVersionedOptions): Promise<VersionedObject> {
      operation('GET', 1);
      const object = await store.readVersioned(key, options);
      meter.bytes('GET', object.bytes.length);
      return object;
    },
    async write(key, body, options?: WriteOptions): Promise<WrittenObject> {
      operation('PUT', 1);
      if (!(body instanceof Uint8Array)) {
        return store.write(
          key,
          counted(body, (count) => meter.bytes('PUT', count)),
          options,
        );
      }
      const info = await store.write(key, body, options);
      meter.bytes('PUT', body.length);
      return info;
    },
    async remove(keys: readonly string[], options?: CallOptions): Promise<void> {
      if (keys.length > 0) operation('DELETE', keys.length);
      await store.remove(keys, options);
    },
  });
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
  }
}
