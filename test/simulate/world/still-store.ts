/** What a store held at one moment, to be read without any time going by. */
import type {
  Conditions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  VersionedObject,
  WrittenObject,
} from '../../../src/storage/object-store.ts';
import { objectNotFound } from '../../../src/storage/storage-error.ts';

export interface Held {
  readonly bytes: Uint8Array;
  readonly timeMs: number;
  readonly version: string;
}

export class StillStore implements ObjectStore {
  readonly type = 'still';
  readonly location = 'still:';
  readonly conditions: Conditions;
  readonly timeStepMs = 1;
  readonly #objects: ReadonlyMap<string, Held>;

  constructor(objects: ReadonlyMap<string, Held>, conditions: Conditions) {
    this.#objects = objects;
    this.conditions = conditions;
  }

  keys(): string[] {
    return [...this.#objects.keys()].sort();
  }

  /** @throws RivuletError `STORAGE_NOT_FOUND` */
  held(key: string): Held {
    const held = this.#objects.get(key);
    if (held === undefined) throw objectNotFound(this.location, key);
    return held;
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    for (const [key, { bytes, timeMs }] of this.#objects)
      if (key.startsWith(prefix)) yield { key, sizeBytes: bytes.length, modifiedAt: new Date(timeMs) };
  }

  async listFolders(prefix: string): Promise<string[]> {
    const names = this.keys().filter((key) => key.startsWith(prefix) && key.includes('/', prefix.length));
    return [...new Set(names.map((key) => key.slice(prefix.length, key.indexOf('/', prefix.length))))];
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const { offsetBytes = 0, lengthBytes = Number.POSITIVE_INFINITY } = options;
    yield this.held(key).bytes.slice(offsetBytes, offsetBytes + lengthBytes);
  }

  async readBytes(key: string): Promise<Uint8Array> {
    return this.held(key).bytes.slice();
  }

  async readVersioned(key: string): Promise<VersionedObject> {
    const { bytes, version, timeMs } = this.held(key);
    return { bytes: bytes.slice(), version, modifiedAt: new Date(timeMs) };
  }

  async write(): Promise<WrittenObject> {
    throw new TypeError('nobody writes here');
  }

  async remove(): Promise<void> {
    throw new TypeError('nobody removes anything here');
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}
