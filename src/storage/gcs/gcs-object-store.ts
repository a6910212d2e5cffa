/**
 * Objects in a bucket of Google Cloud Storage, which must exist. An object's version is its generation; its time is
 * that of its creation, as Litestream v0.3.13 has it, and each new content is a new creation.
 */
import { isRivuletError, messageOf } from '../../base/errors.ts';
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
import { sendParts } from '../send-parts.ts';
import { storageFailed } from '../storage-error.ts';
import { GCS_ENDPOINT, GcsApi } from './api.ts';
import type { GcsObject, Query } from './api.ts';
import { GoogleAuthorization } from './authorization.ts';
import type { AuthorizationSource, GoogleAuthorizationOptions } from './authorization.ts';
import { multipartBody } from './multipart.ts';
import { PART_BYTES, ResumableUpload } from './resumable-upload.ts';

export interface GcsObjectStoreOptions extends GoogleAuthorizationOptions {
  readonly bucket: string;
  /** What stands before every key; slashes at its ends do not matter. */
  readonly path: string;
  /** `https://storage.googleapis.com` when absent. */
  readonly endpoint?: string | undefined;
  /** Instead of Google's library. */
  readonly authorization?: AuthorizationSource | undefined;
}

/** Deletions at once: the service deletes one object per request. */
const REMOVALS_AT_ONCE = 16;
/** Another writer may replace an object between the request for its version and that for its bytes, not many times in a row. */
const VERSIONED_READS_MAX = 5;

interface Page {
  readonly items?: unknown;
  readonly prefixes?: unknown;
  readonly nextPageToken?: unknown;
}

export class GcsObjectStore implements ObjectStore {
  readonly type = 'gcs';
  readonly conditions = 'compare-and-swap';
  readonly timeStepMs = 1;
  readonly location: string;
  readonly #prefix: string;
  readonly #api: GcsApi;
  readonly #tools: BackendTools;

  constructor(options: GcsObjectStoreOptions, tools: BackendTools) {
    const { bucket } = options;
    const { path } = options;
    const endpoint = (options.endpoint ?? GCS_ENDPOINT).replace(/\/+$/, '');
    this.location = `gcs://${bucket}/${path}`;
    this.#prefix = prefixOfPath(path);
    this.#tools = tools;
    const authorization = options.authorization ?? new GoogleAuthorization(options);
    this.#api = new GcsApi({ bucket, endpoint, location: this.location }, authorization, tools);
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    assertFolderPrefix(prefix);
    const fields = 'nextPageToken,items(name,size,timeCreated)';
    for await (const page of this.#pages(prefix, { fields }, options.signal)) {
      for (const item of listOf(page.items)) {
        const { name, size, timeCreated } = this.#listed(item);
        // What consoles make to show an empty folder.
        if (name.endsWith('/')) continue;
        const key = name.slice(this.#prefix.length);
        yield { key, sizeBytes: Number(size), modifiedAt: new Date(timeCreated) };
        options.signal?.throwIfAborted();
      }
    }
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    assertFolderPrefix(prefix);
    const startChars = this.#prefix.length + prefix.length;
    const folders: string[] = [];
    const query = { delimiter: '/', fields: 'nextPageToken,prefixes' };
    for await (const { prefixes } of this.#pages(prefix, query, options.signal)) {
      for (const found of listOf(prefixes)) {
        const name = typeof found === 'string' ? found.slice(startChars, -1) : '';
        if (name !== '') folders.push(name);
      }
    }
    return folders;
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    assertObjectKey(key);
    const { lengthBytes } = options;
    for await (const chunk of this.#download(key, options)) {
      if (lengthBytes === 0) return;
      yield chunk;
    }
  }

  async readBytes(key: string, options: CallOptions & { sizeHintBytes?: number } = {}): Promise<Uint8Array> {
    assertObjectKey(key);
    return this.#downloadWhole(key, options.sizeHintBytes ?? WHOLE_BYTES_MAX, options.signal);
  }

  async readVersioned(key: string, options: ReadVersionedOptions = {}): Promise<VersionedObject> {
    assertObjectKey(key);
    const { signal, maxBytes = WHOLE_BYTES_MAX } = options;
    for (let attempt = 1; ; attempt++) {
      const { generation, timeCreated } = await this.#describe(key, signal);
      try {
        const bytes = await this.#downloadWhole(key, maxBytes, signal, generation);
        return { bytes, version: generation, modifiedAt: new Date(timeCreated) };
      } catch (error) {
        if (!isRivuletError(error, 'STORAGE_NOT_FOUND') || attempt === VERSIONED_READS_MAX) throw error;
      }
    }
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    assertObjectKey(key);
    const { signal, onlyIf } = options;
    signal?.throwIfAborted();
    const conditions = conditionsOf(onlyIf);
    if (body instanceof Uint8Array) return this.#put(key, body, conditions, signal);
    return this.#stream(key, body, conditions, signal);
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) assertObjectKey(key);
    const { signal } = options;
    signal?.throwIfAborted();
    await removeEach(keys, REMOVALS_AT_ONCE, async (key) => this.#removeOne(key, {}, signal), signal);
  }

  async close(): Promise<void> {
    this.#api.close();
  }

  async *#pages(
    prefix: string,
    query: Query,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Page, void, undefined> {
    const limits = new ListingLimits(this.location);
    let pageToken: string | undefined;
    do {
      const { text } = await this.#api.sendForText({
        kind: 'LIST',
        action: prefix === '' ? 'list everything' : `list ${prefix}`,
        method: 'GET',
        url: this.#api.objectsUrl({ ...query, prefix: this.#prefix + prefix, pageToken }),
        signal,
      });
      const page = this.#parsed(text) as Page;
      limits.page(listOf(page.items).length + listOf(page.prefixes).length);
      yield page;
      pageToken = this.#nextToken(page, pageToken);
    } while (pageToken !== undefined);
  }

  #nextToken({ nextPageToken: token }: Page, before: string | undefined): string | undefined {
    if (token === undefined || token === '') return undefined;
    if (typeof token === 'string' && token !== before) return token;
    throw this.#unexpected('a listing that does not say how it goes on');
  }

  #listed(item: unknown): Pick<GcsObject, 'name' | 'size' | 'timeCreated'> {
    const { name, size, timeCreated } = (item ?? {}) as Partial<GcsObject>;
    if (typeof name === 'string' && isWholeNumber(size) && isTime(timeCreated))
      return { name, size, timeCreated };
    throw this.#unexpected('a listing with an entry that does not describe an object');
  }

  async #describe(key: string, signal: AbortSignal | undefined): Promise<GcsObject> {
    const { text } = await this.#api.sendForText({
      kind: 'GET',
      action: `read ${key}`,
      key,
      method: 'GET',
      url: this.#api.objectUrl(this.#prefix + key, { fields: 'name,size,timeCreated,generation' }),
      signal,
    });
    return this.#objectOf(text);
  }

  async *#download(
    key: string,
    { offsetBytes = 0, lengthBytes, signal }: ReadOptions,
    generation?: string,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const request = { kind: 'GET', action: `read ${key}`, key } as const;
    const answer = await this.#api.send({
      ...request,
      method: 'GET',
      url: this.#api.objectUrl(this.#prefix + key, { alt: 'media', generation }),
      headers: rangeOf(offsetBytes, lengthBytes),
      accepts: [416],
      signal,
    });
    let leftBytes = Number(answer.headers['content-length'] ?? Number.NaN);
    try {
      for await (const chunk of answer.body) {
        leftBytes -= chunk.length;
        // The object ends before the range begins: what came is the service's explanation.
        if (answer.status !== 416) yield chunk;
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#api.broken(error, request);
    }
    if (leftBytes > 0) throw this.#unexpected(`a body of ${key} that ended too early`);
  }

  async #downloadWhole(
    key: string,
    maxBytes: number,
    signal: AbortSignal | undefined,
    generation?: string,
  ): Promise<Uint8Array> {
    return wholeBody(this.#download(key, { signal }, generation), { key, location: this.location, maxBytes });
  }

  async #put(
    key: string,
    bytes: Uint8Array,
    conditions: Query,
    signal: AbortSignal | undefined,
  ): Promise<WrittenObject> {
    const { contentType, pieces } = multipartBody(bytes);
    const { text } = await this.#api.sendForText({
      kind: 'PUT',
      action: `write ${key}`,
      key,
      method: 'POST',
      url: this.#api.uploadUrl({ uploadType: 'multipart', name: this.#prefix + key, ...conditions }),
      headers: { 'content-type': contentType },
      body: pieces,
      signal,
    });
    return this.#written(key, bytes.length, this.#objectOf(text));
  }

  async #stream(
    key: string,
    body: AsyncIterable<Uint8Array>,
    conditions: Query,
    signal: AbortSignal | undefined,
  ): Promise<WrittenObject> {
    const parts = await wholeOrParts(body, () => PART_BYTES, signal);
    if (parts instanceof Uint8Array) {
      return putAgain(this, this.#tools, key, parts, signal, async (attemptSignal) =>
        this.#put(key, parts, conditions, attemptSignal),
      );
    }
    const startUrl = this.#api.uploadUrl({
      uploadType: 'resumable',
      name: this.#prefix + key,
      ...conditions,
    });
    const upload = new ResumableUpload(this.#api, this.#tools, { key, location: this.location, startUrl });
    try {
      const send = async (part: Uint8Array, index: number, stop: AbortSignal): Promise<void> => {
        if (index === 0) await upload.start(stop);
        await upload.send(part, stop);
      };
      await sendParts(parts, 1, send, signal);
      const object = this.#objectOf(await upload.finish(signal));
      await this.#verify(key, object, upload.md5());
      return this.#written(key, upload.sizeBytes, object);
    } catch (error) {
      await upload.cancel();
      throw error;
    }
  }

  /** An object that is not what was sent must not stay. */
  async #verify(key: string, object: GcsObject, md5: string | undefined): Promise<void> {
    if (md5 === undefined || object.md5Hash === undefined || object.md5Hash === md5) return;
    const { generation } = object;
    await this.#removeOne(key, { ifGenerationMatch: generation }, undefined).catch((error: unknown) =>
      this.#tools.logger.warn('an object was damaged on its way and could not be removed', {
        object: key,
        error: messageOf(error),
        hint: 'It is noticed before anything is stored behind it; a fresh snapshot takes its place.',
      }),
    );
    throw this.#unexpected(`another checksum for ${key} than that of what was sent`);
  }

  async #removeOne(key: string, conditions: Query, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#api.sendForText({
        kind: 'DELETE',
        action: `remove ${key}`,
        key,
        method: 'DELETE',
        url: this.#api.objectUrl(this.#prefix + key, conditions),
        signal,
      });
    } catch (error) {
      if (!isRivuletError(error, 'STORAGE_NOT_FOUND')) throw error;
    }
  }

  #written(key: string, sizeBytes: number, object: GcsObject): WrittenObject {
    if (Number(object.size) !== sizeBytes)
      throw this.#unexpected(`another size for ${key} than that of what was sent`);
    return { key, sizeBytes, modifiedAt: new Date(object.timeCreated), version: object.generation };
  }

  #objectOf(text: string): GcsObject {
    const object = this.#parsed(text) as Partial<GcsObject>;
    if (!isWholeNumber(object.size) || !isTime(object.timeCreated) || typeof object.generation !== 'string') {
      throw this.#unexpected('an answer that does not describe an object');
    }
    return object as GcsObject;
  }

  #parsed(text: string): object {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
    } catch {
      // The same as any other answer that is not JSON.
    }
    throw this.#unexpected('an answer that is not JSON');
  }

  #unexpected(what: string): Error {
    return storageFailed(`${this.location} gave ${what}`, { retry: true });
  }
}

function conditionsOf(onlyIf: WriteOptions['onlyIf']): Query {
  if (onlyIf === undefined) return {};
  // No object has the generation 0.
  return { ifGenerationMatch: onlyIf === 'absent' ? '0' : onlyIf.version };
}

/** There is no range of no bytes; one byte tells as well whether the object exists. */
function rangeOf(offsetBytes: number, lengthBytes: number | undefined): Record<string, string> {
  if (offsetBytes === 0 && lengthBytes === undefined) return {};
  const last = lengthBytes === undefined ? '' : String(offsetBytes + Math.max(1, lengthBytes) - 1);
  return { range: `bytes=${offsetBytes}-${last}` };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** As a text, which is how the service gives sizes. */
function isWholeNumber(value: unknown): value is string {
  return typeof value === 'string' && /^\d+$/.test(value) && Number.isSafeInteger(Number(value));
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
