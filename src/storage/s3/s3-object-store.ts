/** Objects in a bucket of S3, or of a service that speaks its protocol. */
import { assertFolderPrefix, assertObjectKey } from '../object-key.ts';
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
} from '../object-store.ts';
import { answeredAt } from './clients.ts';
import { S3Conditions } from './conditions.ts';
import { ObjectRemover } from './delete-objects.ts';
import { listFolderNames, listObjects } from './list-objects.ts';
import { resolveProfile } from './options.ts';
import type { S3StoreOptions } from './options.ts';
import { WHOLE_BYTES_MAX } from '../bounded-body.ts';
import { readObject, readWhole } from './read-object.ts';
import { S3Requests } from './requests.ts';
import { writeObject } from './write-object.ts';

export class S3ObjectStore implements ObjectStore {
  readonly type = 's3';
  readonly location: string;
  readonly #requests: S3Requests;
  readonly #conditions: S3Conditions;
  readonly #remover: ObjectRemover;

  /**
   * Nothing is sent yet.
   *
   * @throws RivuletError `CONFIG_INVALID` when the options contradict the service or each other
   */
  constructor(options: S3StoreOptions) {
    const profile = resolveProfile(options);
    this.location = profile.location;
    this.#requests = new S3Requests(profile, options.keys, options.tools);
    this.#conditions = new S3Conditions(this.#requests);
    this.#remover = new ObjectRemover(this.#requests);
  }

  /** What the service is known to have; `none` from the moment on that it says so itself. */
  get conditions(): Conditions {
    return this.#conditions.known;
  }

  list(prefix: string, options: CallOptions = {}): AsyncIterable<ObjectInfo> {
    assertFolderPrefix(prefix);
    return listObjects(this.#requests, prefix, options);
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    assertFolderPrefix(prefix);
    return listFolderNames(this.#requests, prefix, options);
  }

  read(key: string, options: ReadOptions = {}): AsyncIterable<Uint8Array> {
    assertObjectKey(key);
    return readObject(this.#requests, key, options);
  }

  async readBytes(key: string, options: CallOptions & { sizeHintBytes?: number } = {}): Promise<Uint8Array> {
    assertObjectKey(key);
    return (await readWhole(this.#requests, key, options.sizeHintBytes ?? WHOLE_BYTES_MAX, options)).bytes;
  }

  async readVersioned(key: string, options: ReadVersionedOptions = {}): Promise<VersionedObject> {
    assertObjectKey(key);
    const maxBytes = options.maxBytes ?? WHOLE_BYTES_MAX;
    const { bytes, output } = await readWhole(this.#requests, key, maxBytes, options);
    const modifiedAt = output.LastModified ?? answeredAt(output) ?? new Date(0);
    return { bytes, version: this.#conditions.versionOf(output.ETag), modifiedAt };
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    assertObjectKey(key);
    options.signal?.throwIfAborted();
    const parts = { requests: this.#requests, conditions: this.#conditions, store: this };
    return writeObject(parts, key, body, options);
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) assertObjectKey(key);
    options.signal?.throwIfAborted();
    await this.#remover.remove(keys, options);
  }

  async close(): Promise<void> {
    this.#requests.close();
  }
}
