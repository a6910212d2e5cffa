/**
 * Objects as block blobs of a container of Azure Blob Storage. The container must exist. An object's version is its
 * ETag; its time is that of its creation, as Litestream v0.3.13 has it: a change of a blob's properties moves the other one.
 */
import type {
  BlobDownloadResponseParsed,
  BlobRequestConditions,
  BlockBlobClient,
  ContainerClient,
} from '@azure/storage-blob';
import { isRivuletError } from '../../base/errors.ts';
import type { BackendTools, RequestKind } from '../backend.ts';
import { wholeOrParts } from '../body-parts.ts';
import { orAbort } from '../abandon.ts';
import { assertFolderPrefix, assertObjectKey } from '../object-key.ts';
import type {
  CallOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from '../object-store.ts';
import { attemptLimitMs, withinTime } from '../patience.ts';
import { putAgain } from '../put-again.ts';
import { removeEach } from '../remove-each.ts';
import { sendParts } from '../send-parts.ts';
import { objectExists, storageFailed } from '../storage-error.ts';
import { untilAborted } from '../until-aborted.ts';
import { AbsAccessSource } from './access.ts';
import type { AbsAccess, AbsAccessOptions } from './access.ts';
import { BLOCKS_AT_ONCE, blockNames, blockSizeOf } from './block-upload.ts';
import { answerOf, azureFailed, isRefusal } from './failure.ts';

export interface AbsObjectStoreOptions extends AbsAccessOptions {
  /** What stands before every key; slashes at its ends do not matter. */
  readonly path: string;
}

/** Deletions at once: the service deletes one blob per request, or batches that not every identity may use. */
const REMOVALS_AT_ONCE = 16;

type Conditions = Pick<BlobRequestConditions, 'ifMatch' | 'ifNoneMatch'>;

/** One request. */
interface Request<T> {
  readonly kind: RequestKind;
  readonly action: string;
  readonly key?: string | undefined;
  readonly signal: AbortSignal | undefined;
  send(container: ContainerClient): Promise<T>;
}

export class AbsObjectStore implements ObjectStore {
  readonly type = 'abs';
  readonly conditions = 'compare-and-swap';
  readonly location: string;
  readonly #prefix: string;
  readonly #access: AbsAccessSource;
  readonly #tools: BackendTools;

  constructor(options: AbsObjectStoreOptions, tools: BackendTools) {
    const path = options.path.replace(/^\/+|\/+$/g, '');
    this.#access = new AbsAccessSource(options);
    this.#prefix = path === '' ? '' : `${path}/`;
    this.#tools = tools;
    this.location = `abs://${this.#access.accountName}@${options.container}/${path}`;
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    assertFolderPrefix(prefix);
    const { signal } = options;
    let token: string | undefined;
    do {
      const page = await this.#page(prefix, signal, token, async (container, settings) =>
        container
          // Accounts with a hierarchical namespace show folders as blobs, which only their metadata tells.
          .listBlobsFlat({ prefix: this.#prefix + prefix, includeMetadata: true, ...abortedBy(signal) })
          .byPage(settings)
          .next(),
      );
      for (const { name, properties, metadata } of page.segment.blobItems) {
        if (metadata?.['hdi_isfolder'] === 'true') continue;
        const { contentLength = 0, createdOn, lastModified } = properties;
        const modifiedAt = createdOn ?? lastModified;
        if (!isListed(name, contentLength, modifiedAt)) {
          throw unexpected(this.location, 'a listing with an entry that does not describe an object');
        }
        const key = name.slice(this.#prefix.length);
        yield { key, sizeBytes: contentLength, modifiedAt };
        signal?.throwIfAborted();
      }
      token = nextToken(this.location, page.continuationToken, token);
    } while (token !== undefined);
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    assertFolderPrefix(prefix);
    const { signal } = options;
    const base = this.#prefix + prefix;
    const folders: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#page(prefix, signal, token, async (container, settings) =>
        container
          .listBlobsByHierarchy('/', { prefix: base, ...abortedBy(signal) })
          .byPage(settings)
          .next(),
      );
      for (const { name } of page.segment.blobPrefixes ?? []) {
        if (typeof name === 'string' && name.length > base.length + 1)
          folders.push(name.slice(base.length, -1));
      }
      token = nextToken(this.location, page.continuationToken, token);
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

  async readBytes(key: string, options: CallOptions = {}): Promise<Uint8Array> {
    assertBlobKey(key);
    const found = await this.#download(key, 0, undefined, options.signal);
    return found === undefined ? new Uint8Array() : this.#wholeOf(found, key, options.signal);
  }

  async readVersioned(key: string, options: CallOptions = {}): Promise<VersionedObject> {
    assertBlobKey(key);
    const found = await this.#download(key, 0, undefined, options.signal);
    if (found?.lastModified === undefined) throw unexpected(this.location, 'an answer without Last-Modified');
    const bytes = await this.#wholeOf(found, key, options.signal);
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
    const answer = await this.#request({
      kind: 'PUT',
      action: `write ${key}`,
      key,
      signal,
      send: async (container) =>
        this.#blob(container, key).upload(body, body.length, { conditions, ...abortedBy(signal) }),
    });
    return this.#written(key, body.length, answer);
  }

  async #stream(
    key: string,
    body: AsyncIterable<Uint8Array>,
    conditions: Conditions,
    signal: AbortSignal | undefined,
  ): Promise<WrittenObject> {
    const parts = await wholeOrParts(body, blockSizeOf, signal);
    if (parts instanceof Uint8Array) {
      return putAgain(this, this.#tools, key, parts, signal, async (attemptSignal) =>
        this.#put(key, parts, conditions, attemptSignal),
      );
    }
    const nameOf = blockNames();
    const names: string[] = [];
    let sizeBytes = 0;
    const stage = async (part: Uint8Array, index: number, stop: AbortSignal): Promise<void> => {
      const name = nameOf(index);
      names[index] = name;
      sizeBytes += part.length;
      await this.#stage(key, name, part, stop);
    };
    await sendParts(parts, BLOCKS_AT_ONCE, stage, signal);
    return this.#commit(key, names, sizeBytes, conditions, signal);
  }

  async #stage(key: string, name: string, part: Uint8Array, signal: AbortSignal): Promise<void> {
    const action = `write a part of ${key}`;
    const attempt = async (attemptSignal: AbortSignal): Promise<unknown> =>
      this.#request({
        kind: 'PUT',
        action,
        signal: attemptSignal,
        send: async (container) =>
          this.#blob(container, key).stageBlock(name, part, part.length, abortedBy(attemptSignal)),
      });
    await this.#tools.retrier.run(
      action,
      async () => this.#inTime(action, part.length, signal, attempt),
      signal,
    );
  }

  /**
   * Makes the blob. An answer may get lost after the work was done, so a refusal of a later attempt is believed only
   * when the blob is not made of these very blocks.
   */
  async #commit(
    key: string,
    names: string[],
    sizeBytes: number,
    conditions: Conditions,
    signal: AbortSignal | undefined,
  ): Promise<WrittenObject> {
    const action = `write ${key}`;
    const attempt = async (attemptSignal: AbortSignal): Promise<WrittenObject> => {
      const answer = await this.#request({
        kind: 'PUT',
        action,
        key,
        signal: attemptSignal,
        send: async (container) =>
          this.#blob(container, key).commitBlockList(names, { conditions, ...abortedBy(attemptSignal) }),
      });
      return this.#written(key, sizeBytes, answer);
    };
    return this.#tools.retrier.run(
      action,
      async (number) => {
        try {
          return await this.#inTime(action, 0, signal, attempt);
        } catch (error) {
          if (!isRivuletError(error, 'STORAGE_EXISTS') && !hasLostBlocks(error)) throw error;
          const present = number > 1 ? await this.#madeOf(key, names, signal) : undefined;
          if (present !== undefined) return this.#written(key, sizeBytes, present);
          throw isConditional(conditions) ? objectExists(this.location, key, error) : error;
        }
      },
      signal,
    );
  }

  /** The blob, if it consists of the blocks `names`. */
  async #madeOf(
    key: string,
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<WriteAnswer | undefined> {
    const list = await this.#request({
      kind: 'GET',
      action: `read the blocks of ${key}`,
      key,
      signal,
      send: async (container) => this.#blob(container, key).getBlockList('committed', abortedBy(signal)),
    });
    const present = list.committedBlocks ?? [];
    const isSame = present.length === names.length && present.every(({ name }, i) => name === names[i]);
    return isSame ? list : undefined;
  }

  async #removeOne(key: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#request({
        kind: 'DELETE',
        action: `remove ${key}`,
        key,
        signal,
        send: async (container) => this.#blob(container, key).delete(abortedBy(signal)),
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
    return this.#request({
      kind: 'GET',
      action: `read ${key}`,
      key,
      signal,
      send: async (container) => {
        const blob = this.#blob(container, key);
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
    if (stream === undefined) throw unexpected(this.location, 'an answer without a body');
    let leftBytes = found.contentLength ?? 0;
    try {
      for await (const chunk of untilAborted(stream as AsyncIterable<Buffer>, signal)) {
        leftBytes -= chunk.length;
        yield chunk;
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#failed(error, { action: `read ${key}`, key }, false);
    }
    if (leftBytes !== 0) throw unexpected(this.location, `a body of ${key} that ended too early`);
  }

  async #wholeOf(
    found: BlobDownloadResponseParsed,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#bodyOf(found, key, signal)) chunks.push(chunk);
    return Buffer.concat(chunks);
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
    const page = await this.#request({
      kind: 'LIST',
      action: prefix === '' ? 'list everything' : `list ${prefix}`,
      signal,
      send: async (container) => next(container, settings),
    });
    if (page.done === true) throw unexpected(this.location, 'a listing without a page');
    return page.value;
  }

  #blob(container: ContainerClient, key: string): BlockBlobClient {
    return container.getBlockBlobClient(this.#prefix + key);
  }

  #written(key: string, sizeBytes: number, answer: WriteAnswer): WrittenObject {
    const { lastModified, etag } = answer;
    if (lastModified === undefined) throw unexpected(this.location, 'an answer without Last-Modified');
    return { key, sizeBytes, modifiedAt: lastModified, version: etag };
  }

  async #inTime<T>(
    action: string,
    bodyBytes: number,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const what = `${action} to ${this.location}`;
    return withinTime(this.#tools.clock, attemptLimitMs(bodyBytes), what, signal, work);
  }

  async #request<T>(request: Request<T>): Promise<T> {
    const { kind, action, key, signal } = request;
    signal?.throwIfAborted();
    const access = await orAbort(this.#access.current(), signal);
    this.#tools.onRequest(kind);
    try {
      const answer = await orAbort(request.send(access.container), signal);
      access.hasWorked = true;
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      const isRenewed = isRefusal(error) && (await orAbort(this.#renew(access), signal));
      throw this.#failed(error, { action, key }, isRenewed);
    }
  }

  async #renew(used: AbsAccess): Promise<boolean> {
    const isRenewed = await this.#access.renew(used);
    if (isRenewed)
      this.#tools.logger.debug('the destination refused the credentials; there are other ones now');
    return isRenewed;
  }

  #failed(
    error: unknown,
    { action, key }: { action: string; key?: string | undefined },
    isRenewed: boolean,
  ): Error {
    return azureFailed(error, {
      action,
      key,
      location: this.location,
      nowMs: this.#tools.clock.now(),
      isRenewed,
    });
  }
}

interface WriteAnswer {
  readonly etag?: string | undefined;
  readonly lastModified?: Date | undefined;
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

function isConditional({ ifMatch, ifNoneMatch }: Conditions): boolean {
  return ifMatch !== undefined || ifNoneMatch !== undefined;
}

/** Who makes a blob takes away the waiting blocks of all others who write to that name. */
function hasLostBlocks(error: unknown): boolean {
  return isRivuletError(error) && error.details['serverCode'] === 'InvalidBlockList';
}

function abortedBy(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

/** The client hands on what it made of the answer, whatever that is. */
function isListed(name: unknown, sizeBytes: unknown, modifiedAt: unknown): boolean {
  const isTime = modifiedAt instanceof Date && !Number.isNaN(modifiedAt.getTime());
  return typeof name === 'string' && Number.isSafeInteger(sizeBytes) && Number(sizeBytes) >= 0 && isTime;
}

/** A service that gives the same mark again would be asked for ever. */
function nextToken(
  location: string,
  token: string | undefined,
  before: string | undefined,
): string | undefined {
  if (token === undefined || token === '') return undefined;
  if (token === before) throw unexpected(location, 'a listing that does not say how it goes on');
  return token;
}

function unexpected(location: string, what: string): Error {
  return storageFailed(`${location} gave ${what}`, { retry: true });
}
