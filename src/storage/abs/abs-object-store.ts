/**
 * Objects as block blobs of a container of Azure Blob Storage. The container must exist. An object's version is its
 * ETag; its time is that of its creation, as Litestream v0.3.13 has it: a change of a blob's properties moves the other one.
 */
import type { BlobDownloadResponseParsed, ContainerClient } from '@azure/storage-blob';
import { isRivuletError } from '../../base/errors.ts';
import type { BackendTools } from '../backend.ts';
import { wholeOrParts } from '../body-parts.ts';
import { WHOLE_BYTES_MAX, wholeBody } from '../bounded-body.ts';
import { ListingLimits } from '../listing-limits.ts';
import { assertFolderPrefix, assertObjectKey, prefixOfPath } from '../object-key.ts';
import type {
  CallOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  ReadVersionedOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from '../object-store.ts';
import { putAgain } from '../put-again.ts';
import { removeEach } from '../remove-each.ts';
import { untilAborted } from '../until-aborted.ts';
import { AbsAccessSource } from './access.ts';
import type { AbsAccessOptions } from './access.ts';
import { BlockUpload, blockSizeOf, type Conditions } from './block-upload.ts';
import { answerOf } from './failure.ts';
import { abortedBy, AbsRequests } from './requests.ts';

export interface AbsObjectStoreOptions extends AbsAccessOptions {
  /** What stands before every key; slashes at its ends do not matter. */
  readonly path: string;
}

/** Deletions at once: the service deletes one blob per request, or batches that not every identity may use. */
const REMOVALS_AT_ONCE = 16;

export class AbsObjectStore implements ObjectStore {
  readonly type = 'abs';
  readonly conditions = 'compare-and-swap';
  /** Listings tell times as HTTP headers do. */
  readonly timeStepMs = 1000;
  readonly location: string;
  readonly #requests: AbsRequests;

  constructor(options: AbsObjectStoreOptions, tools: BackendTools) {
    const { path } = options;
    const access = new AbsAccessSource(options);
    this.location = `abs://${access.accountName}@${options.container}/${path}`;
    const place = { prefix: prefixOfPath(path), location: this.location };
    this.#requests = new AbsRequests(place, access, tools);
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    assertFolderPrefix(prefix);
    const { signal } = options;
    const limits = new ListingLimits(this.location);
    let token: string | undefined;
    do {
      const page = await this.#page(prefix, signal, token, async (container, settings) =>
        container
          // Accounts with a hierarchical namespace show folders as blobs, which only their metadata tells.
          .listBlobsFlat({
            prefix: this.#requests.prefix + prefix,
            includeMetadata: true,
            ...abortedBy(signal),
          })
          .byPage(settings)
          .next(),
      );
      limits.page(page.segment.blobItems.length);
      for (const { name, properties, metadata } of page.segment.blobItems) {
        if (metadata?.['hdi_isfolder'] === 'true') continue;
        const { contentLength = 0, createdOn, lastModified } = properties;
        const modifiedAt = createdOn ?? lastModified;
        if (!isListed(name, contentLength, modifiedAt)) {
          throw this.#requests.unexpected('a listing with an entry that does not describe an object');
        }
        const key = name.slice(this.#requests.prefix.length);
        yield { key, sizeBytes: contentLength, modifiedAt };
        signal?.throwIfAborted();
      }
      token = this.#nextToken(page.continuationToken, token);
    } while (token !== undefined);
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    assertFolderPrefix(prefix);
    const { signal } = options;
    const base = this.#requests.prefix + prefix;
    const folders: string[] = [];
    const limits = new ListingLimits(this.location);
    let token: string | undefined;
    do {
      const page = await this.#page(prefix, signal, token, async (container, settings) =>
        container
          .listBlobsByHierarchy('/', { prefix: base, ...abortedBy(signal) })
          .byPage(settings)
          .next(),
      );
      limits.page(page.segment.blobItems.length + (page.segment.blobPrefixes?.length ?? 0));
      for (const { name } of page.segment.blobPrefixes ?? []) {
        if (typeof name === 'string' && name.length > base.length + 1)
          folders.push(name.slice(base.length, -1));
      }
      token = this.#nextToken(page.continuationToken, token);
    } while (token !== undefined);
    return folders;
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { offsetBytes = 0, lengthBytes, signal } = options;
    assertBlobKey(key);
    const found = await this.#download(key, offsetBytes, lengthBytes, signal);
    if (found === undefined) return;
    for await (const chunk of this.#bodyOf(found, key, signal)) {
      if (lengthBytes === 0) return;
      yield chunk;
    }
  }

  async readBytes(key: string, options: CallOptions & { sizeHintBytes?: number } = {}): Promise<Uint8Array> {
    assertBlobKey(key);
    const found = await this.#download(key, 0, undefined, options.signal);
    const maxBytes = options.sizeHintBytes ?? WHOLE_BYTES_MAX;
    return found === undefined ? new Uint8Array() : this.#wholeOf(found, key, maxBytes, options.signal);
  }

  async readVersioned(key: string, options: ReadVersionedOptions = {}): Promise<VersionedObject> {
    assertBlobKey(key);
    const found = await this.#download(key, 0, undefined, options.signal);
    if (found?.lastModified === undefined) throw this.#requests.unexpected('an answer without Last-Modified');
    const maxBytes = options.maxBytes ?? WHOLE_BYTES_MAX;
    const bytes = await this.#wholeOf(found, key, maxBytes, options.signal);
    return { bytes, version: found.etag, modifiedAt: found.lastModified };
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    assertBlobKey(key);
    const { signal, onlyIf } = options;
    signal?.throwIfAborted();
    const conditions = conditionsOf(onlyIf);
    if (body instanceof Uint8Array) return this.#put(key, body, conditions, signal);
    return this.#stream(key, body, conditions, signal);
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) assertBlobKey(key);
    const { signal } = options;
    signal?.throwIfAborted();
    await removeEach(keys, REMOVALS_AT_ONCE, async (key) => this.#removeOne(key, signal), signal);
  }

  async close(): Promise<void> {
    // Connections are shared by all clients of the process, and idle ones do not keep it alive.
  }

  async #put(
    key: string,
    body: Uint8Array,
    conditions: Conditions,
    signal: AbortSignal | undefined,
  ): Promise<WrittenObject> {
    const answer = await this.#requests.run({
      kind: 'PUT',
      action: `write ${key}`,
      key,
      signal,
      send: async (container) =>
        this.#requests.blob(container, key).upload(body, body.length, { conditions, ...abortedBy(signal) }),
    });
    return this.#requests.written(key, body.length, answer);
  }

  async #stream(
    key: string,
    body: AsyncIterable<Uint8Array>,
    conditions: Conditions,
    signal: AbortSignal | undefined,
  ): Promise<WrittenObject> {
    const parts = await wholeOrParts(body, blockSizeOf, signal);
    if (!(parts instanceof Uint8Array))
      return new BlockUpload(this.#requests, key, conditions).write(parts, signal);
    return putAgain(this, this.#requests.tools, key, parts, signal, async (attemptSignal) =>
      this.#put(key, parts, conditions, attemptSignal),
    );
  }

  async #removeOne(key: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#requests.run({
        kind: 'DELETE',
        action: `remove ${key}`,
        key,
        signal,
        send: async (container) => this.#requests.blob(container, key).delete(abortedBy(signal)),
      });
    } catch (error) {
      if (!isRivuletError(error, 'STORAGE_NOT_FOUND')) throw error;
    }
  }

  /** Undefined when the object exists and ends before the range begins. */
  async #download(
    key: string,
    offsetBytes: number,
    lengthBytes: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<BlobDownloadResponseParsed | undefined> {
    // There is no range of no bytes; one byte tells as well whether the object exists.
    const countBytes = lengthBytes === undefined ? undefined : Math.max(1, lengthBytes);
    return this.#requests.run({
      kind: 'GET',
      action: `read ${key}`,
      key,
      signal,
      send: async (container) => {
        const blob = this.#requests.blob(container, key);
        try {
          return await blob.download(offsetBytes, countBytes, { maxRetryRequests: 0, ...abortedBy(signal) });
        } catch (error) {
          if (answerOf(error).statusCode === 416) return undefined;
          throw error;
        }
      },
    });
  }

  async *#bodyOf(
    found: BlobDownloadResponseParsed,
    key: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const stream = found.readableStreamBody;
    if (stream === undefined) throw this.#requests.unexpected('an answer without a body');
    let leftBytes = found.contentLength ?? 0;
    try {
      for await (const chunk of untilAborted(stream as AsyncIterable<Buffer>, signal)) {
        leftBytes -= chunk.length;
        yield chunk;
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#requests.failed(error, { action: `read ${key}`, key });
    }
    if (leftBytes !== 0) throw this.#requests.unexpected(`a body of ${key} that ended too early`);
  }

  async #wholeOf(
    found: BlobDownloadResponseParsed,
    key: string,
    maxBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    return wholeBody(this.#bodyOf(found, key, signal), { key, location: this.location, maxBytes });
  }

  async #page<Page>(
    prefix: string,
    signal: AbortSignal | undefined,
    token: string | undefined,
    next: (
      container: ContainerClient,
      settings: { continuationToken?: string },
    ) => Promise<IteratorResult<Page, unknown>>,
  ): Promise<Page> {
    const settings = token === undefined ? {} : { continuationToken: token };
    const page = await this.#requests.run({
      kind: 'LIST',
      action: prefix === '' ? 'list everything' : `list ${prefix}`,
      signal,
      send: async (container) => next(container, settings),
    });
    if (page.done === true) throw this.#requests.unexpected('a listing without a page');
    return page.value;
  }

  /** A service that gives the same mark again would be asked for ever. */
  #nextToken(token: string | undefined, before: string | undefined): string | undefined {
    if (token === undefined || token === '') return undefined;
    if (token === before) throw this.#requests.unexpected('a listing that does not say how it goes on');
    return token;
  }
}

/** The service takes a backslash for a slash: the object would lie elsewhere. */
function assertBlobKey(key: string): void {
  assertObjectKey(key);
  if (key.includes('\\')) throw new RangeError(`not the key of a blob: ${JSON.stringify(key)}`);
}

function conditionsOf(onlyIf: WriteOptions['onlyIf']): Conditions {
  if (onlyIf === undefined) return {};
  return onlyIf === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: onlyIf.version };
}

/** The client hands on what it made of the answer, whatever that is. */
function isListed(name: unknown, sizeBytes: unknown, modifiedAt: unknown): boolean {
  const isTime = modifiedAt instanceof Date && !Number.isNaN(modifiedAt.getTime());
  return typeof name === 'string' && Number.isSafeInteger(sizeBytes) && Number(sizeBytes) >= 0 && isTime;
}
