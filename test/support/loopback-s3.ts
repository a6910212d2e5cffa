/**
 * An S3 server on loopback for tests of faults: it keeps objects in memory, records each request, and misbehaves as a
 * test says. What S3 does when all is well is tested against a real server; here it is the least that makes faults
 * mean something. Signatures are not checked; keys, region and clock are, when a test sets them.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ActiveRule } from './loopback-s3/faults.ts';
import type { Fault, Operation, RecordedRequest, Rule } from './loopback-s3/faults.ts';
import { joinParts, md5 } from './loopback-s3/objects.ts';
import type { Bucket, StoredObject } from './loopback-s3/objects.ts';
import { Raw, documentOf, element, elementsOf, unescapeXml } from './loopback-s3/xml.ts';

/** How listings differ from the truth. */
export interface ListingHabits {
  /** Keys of a page at most, whatever is asked. */
  pageKeys?: number;
  /** Keys that it does not show (yet). */
  hides?: (key: string) => boolean;
  /** Changes the order; ascending when absent. */
  order?: (keys: string[]) => string[];
  /** It does not encode keys although it was asked to, and does not say that it did. */
  ignoresEncoding?: boolean;
  /** It says that there is more, and not how to go on. */
  losesToken?: boolean;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

const SKEW_MAX_MS = 15 * 60_000;

export class LoopbackS3 implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  readonly listing: ListingHabits = {};
  /** What its clock is ahead of this machine's; requests signed too far from it are refused. */
  clockOffsetMs = 0;
  /** The only region that it takes, when set. */
  region: string | undefined;
  /** The S3 code that keys are refused with; undefined lets them in. */
  refusesKeys: (accessKeyId: string, sessionToken: string | undefined) => string | undefined = () =>
    undefined;
  /** How it wants ETags in If-Match. */
  comparesEtags: 'quoted' | 'bare' | 'either' = 'either';
  /** Answers with the whole object, whatever range is asked for. */
  ignoresRanges = false;
  /** Told of each connection that is made. */
  onConnection: () => void = () => undefined;
  readonly #buckets = new Map<string, Bucket>();
  readonly #rules: ActiveRule[] = [];
  readonly #server: Server;
  #port = 0;

  private constructor() {
    this.#server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.on('connection', () => this.onConnection());
    this.#server.on('clientError', (_, socket) => socket.destroy());
  }

  static async start(...buckets: string[]): Promise<LoopbackS3> {
    const server = new LoopbackS3();
    for (const name of buckets.length === 0 ? ['bucket'] : buckets) server.createBucket(name);
    await server.start();
    return server;
  }

  /** `http://127.0.0.1:PORT`. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  createBucket(name: string): void {
    this.#buckets.set(name, { objects: new Map(), uploads: new Map() });
  }

  /** Listens (again), on the same port once it had one. */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening and cuts every connection off; what is stored stays. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop();
  }

  /** Adds a rule; the first one that fits a request is used. */
  misbehave(rule: Rule): ActiveRule {
    const active = new ActiveRule(rule);
    this.#rules.push(active);
    return active;
  }

  /** Does everything right from now on. */
  behave(): void {
    this.#rules.length = 0;
  }

  objects(bucket = 'bucket'): Map<string, StoredObject> {
    return this.#bucketOf(bucket)?.objects ?? new Map<string, StoredObject>();
  }

  put(key: string, content: string | Uint8Array, modifiedAt: Date = this.#now(), bucket = 'bucket'): void {
    const bytes = Buffer.from(content);
    this.objects(bucket).set(key, { bytes, etag: md5(bytes), modifiedAt, headers: {} });
  }

  /** Uploads in parts that were neither completed nor aborted. */
  uploads(bucket = 'bucket'): string[] {
    return [...(this.#bucketOf(bucket)?.uploads.keys() ?? [])];
  }

  /** How many requests of a kind came, also those that failed. */
  count(...operations: Operation[]): number {
    return this.requests.filter(({ operation }) => operations.includes(operation)).length;
  }

  /** The last request of a kind. */
  last(operation: Operation): RecordedRequest | undefined {
    return this.requests.findLast((request) => request.operation === operation);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recorded = this.#record(request);
    const fault = this.#rules.find((rule) => rule.hit(recorded))?.rule.fault;
    const body = await this.#receive(request, recorded, fault);
    if (body === undefined || (fault !== undefined && 'hang' in fault)) return;
    if (fault !== undefined && 'delayMs' in fault) await sleep(fault.delayMs);
    const answer =
      fault !== undefined && 'answer' in fault ? faultAnswer(fault) : this.#answer(recorded, body, fault);
    if (fault !== undefined && 'loseAnswer' in fault) request.socket.resetAndDestroy();
    else await this.#send(response, recorded, answer, fault);
  }

  /** The body; undefined when the connection was cut off over it. */
  async #receive(
    request: IncomingMessage,
    recorded: RecordedRequest,
    fault: Fault | undefined,
  ): Promise<Buffer | undefined> {
    const limit =
      fault !== undefined && 'resetRequestAfterBytes' in fault
        ? fault.resetRequestAfterBytes
        : Number.POSITIVE_INFINITY;
    const chunks: Buffer[] = [];
    if (limit > 0) {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        recorded.bodyBytes += chunk.length;
        if (recorded.bodyBytes >= limit) break;
      }
    }
    if (limit === Number.POSITIVE_INFINITY) return Buffer.concat(chunks);
    request.socket.resetAndDestroy();
    return undefined;
  }

  async #send(
    response: ServerResponse,
    recorded: RecordedRequest,
    answer: Answer,
    fault: Fault | undefined,
  ): Promise<void> {
    const body = Buffer.from(answer.body ?? '');
    const headers: Record<string, string> = {
      date: this.#now().toUTCString(),
      ...(isForeign(fault) ? {} : { 'x-amz-request-id': `loopback-${this.requests.length}` }),
      ...(typeof answer.body === 'string' ? { 'content-type': 'application/xml' } : {}),
      'content-length': String(body.length),
      ...answer.headers,
    };
    if (fault !== undefined && 'withoutHeaders' in fault)
      for (const name of fault.withoutHeaders) delete headers[name];
    recorded.status = answer.status;
    response.writeHead(answer.status, headers);
    if (recorded.method === 'HEAD') response.end();
    else await writeBody(response, body, fault);
  }

  #record(request: IncomingMessage): RecordedRequest {
    const url = new URL(request.url ?? '/', 'http://loopback');
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const { bucket, key } = this.#placeOf(url.pathname, headers['host'] ?? '');
    const method = request.method ?? 'GET';
    const recorded: RecordedRequest = {
      operation: operationOf(method, key, url.searchParams),
      method,
      bucket,
      key,
      path: url.pathname,
      query: url.searchParams,
      headers,
      bodyBytes: 0,
      status: 0,
      atMs: Date.now(),
    };
    this.requests.push(recorded);
    return recorded;
  }

  /** Path style, and virtual hosts below `localhost`. */
  #placeOf(pathname: string, host: string): { readonly bucket: string; readonly key: string } {
    const path = pathname.slice(1);
    const virtual = /^(.+)\.localhost(:\d+)?$/.exec(host)?.[1];
    if (virtual !== undefined) return { bucket: virtual, key: decodeURIComponent(path) };
    const slash = path.indexOf('/');
    if (slash < 0) return { bucket: decodeURIComponent(path), key: '' };
    return {
      bucket: decodeURIComponent(path.slice(0, slash)),
      key: decodeURIComponent(path.slice(slash + 1)),
    };
  }

  #now(): Date {
    return new Date(Date.now() + this.clockOffsetMs);
  }

  #bucketOf(name: string): Bucket | undefined {
    return this.#buckets.get(name);
  }

  #answer(request: RecordedRequest, body: Buffer, fault: Fault | undefined): Answer {
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) return refusal;
    const bucket = this.#bucketOf(request.bucket);
    if (bucket === undefined) return errorAnswer(404, 'NoSuchBucket');
    const ignoresConditions = fault !== undefined && 'ignoreConditions' in fault;
    switch (request.operation) {
      case 'PutObject':
        return this.#store(bucket, request, body, md5(body), request.headers, ignoresConditions);
      case 'GetObject':
      case 'HeadObject':
        return get(bucket, request, this.ignoresRanges);
      case 'DeleteObject':
        bucket.objects.delete(request.key);
        return { status: 204 };
      case 'DeleteObjects':
        return deleteMany(bucket, body, fault);
      case 'ListObjects':
      case 'ListObjectsV2':
        return list(bucket, request, this.listing);
      case 'CreateMultipartUpload': {
        const id = randomUUID();
        const { key, headers } = request;
        bucket.uploads.set(id, { bucket: request.bucket, key, headers, parts: new Map() });
        return xmlAnswer(element('InitiateMultipartUploadResult', element('UploadId', id)));
      }
      case 'UploadPart':
        return putPart(bucket, request, body);
      case 'CompleteMultipartUpload':
        return this.#complete(bucket, request, body, ignoresConditions);
      case 'AbortMultipartUpload':
        return bucket.uploads.delete(uploadIdOf(request))
          ? { status: 204 }
          : errorAnswer(404, 'NoSuchUpload');
      case 'HeadBucket':
        return { status: 200 };
      case 'GetBucketLocation':
      case 'ListMultipartUploads':
      case 'Unknown':
      default:
        return errorAnswer(501, 'NotImplemented');
    }
  }

  #refusalOf({ headers }: RecordedRequest): Answer | undefined {
    const scope = /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(headers['authorization'] ?? '');
    const [, accessKeyId = '', region = ''] = scope ?? [];
    if (this.region !== undefined && region !== this.region)
      return errorAnswer(400, 'AuthorizationHeaderMalformed', { Region: this.region });
    const code = this.refusesKeys(accessKeyId, headers['x-amz-security-token']);
    if (code !== undefined) return errorAnswer(403, code);
    const signedMs = amzDateMs(headers['x-amz-date']);
    if (signedMs !== undefined && Math.abs(signedMs - this.#now().getTime()) > SKEW_MAX_MS)
      return errorAnswer(403, 'RequestTimeTooSkewed', { ServerTime: this.#now().toISOString() });
    return undefined;
  }

  #store(
    bucket: Bucket,
    { key, headers: asked }: RecordedRequest,
    bytes: Buffer,
    etag: string,
    headers: Readonly<Record<string, string>>,
    ignoresConditions: boolean,
  ): Answer {
    if (!ignoresConditions && !this.#conditionHolds(bucket.objects.get(key), asked))
      return errorAnswer(412, 'PreconditionFailed');
    bucket.objects.set(key, { bytes, etag, modifiedAt: this.#now(), headers });
    return { status: 200, headers: { etag: `"${etag}"` } };
  }

  #conditionHolds(present: StoredObject | undefined, headers: RecordedRequest['headers']): boolean {
    if (headers['if-none-match'] === '*') return present === undefined;
    const wanted = headers['if-match'];
    if (wanted === undefined) return true;
    if (present === undefined) return false;
    const forms = { quoted: [`"${present.etag}"`], bare: [present.etag] };
    return (
      this.comparesEtags === 'either' ? Object.values(forms).flat() : forms[this.comparesEtags]
    ).includes(wanted);
  }

  #complete(bucket: Bucket, request: RecordedRequest, body: Buffer, ignoresConditions: boolean): Answer {
    const id = uploadIdOf(request);
    const upload = bucket.uploads.get(id);
    if (upload === undefined) return errorAnswer(404, 'NoSuchUpload');
    const named = elementsOf(body.toString(), 'Part').map((part) => ({
      number: Number(elementsOf(part, 'PartNumber')[0]),
      etag: unescapeXml(elementsOf(part, 'ETag')[0] ?? '').replaceAll('"', ''),
    }));
    const joined = joinParts(upload, named);
    if (typeof joined === 'string') return errorAnswer(400, joined);
    const stored = this.#store(bucket, request, joined.bytes, joined.etag, upload.headers, ignoresConditions);
    if (stored.status !== 200) return stored;
    bucket.uploads.delete(id);
    return xmlAnswer(element('CompleteMultipartUploadResult', element('ETag', `"${joined.etag}"`)));
  }
}

function operationOf(method: string, key: string, query: URLSearchParams): Operation {
  const isPart = query.has('uploadId');
  if (key === '') {
    if (method === 'POST' && query.has('delete')) return 'DeleteObjects';
    if (method === 'GET' && query.has('uploads')) return 'ListMultipartUploads';
    if (method === 'GET' && query.has('location')) return 'GetBucketLocation';
    if (method === 'HEAD') return 'HeadBucket';
    if (method !== 'GET') return 'Unknown';
    return query.get('list-type') === '2' ? 'ListObjectsV2' : 'ListObjects';
  }
  if (method === 'PUT') return isPart ? 'UploadPart' : 'PutObject';
  if (method === 'GET') return 'GetObject';
  if (method === 'HEAD') return 'HeadObject';
  if (method === 'DELETE') return isPart ? 'AbortMultipartUpload' : 'DeleteObject';
  if (method !== 'POST') return 'Unknown';
  return isPart ? 'CompleteMultipartUpload' : 'CreateMultipartUpload';
}

function uploadIdOf({ query }: RecordedRequest): string {
  return query.get('uploadId') ?? '';
}

function putPart(bucket: Bucket, request: RecordedRequest, bytes: Buffer): Answer {
  const upload = bucket.uploads.get(uploadIdOf(request));
  if (upload === undefined) return errorAnswer(404, 'NoSuchUpload');
  const etag = md5(bytes);
  upload.parts.set(Number(request.query.get('partNumber')), { bytes, etag });
  return { status: 200, headers: { etag: `"${etag}"` } };
}

function get(bucket: Bucket, { key, headers: asked }: RecordedRequest, ignoresRanges: boolean): Answer {
  const found = bucket.objects.get(key);
  if (found === undefined) return errorAnswer(404, 'NoSuchKey');
  const headers = { etag: `"${found.etag}"`, 'last-modified': found.modifiedAt.toUTCString() };
  const range = /^bytes=(\d+)-(\d*)$/.exec(asked['range'] ?? '');
  const size = found.bytes.length;
  if (range === null || ignoresRanges)
    return { status: 200, headers: { ...headers, 'content-length': String(size) }, body: found.bytes };
  const from = Number(range[1]);
  if (from >= size) return errorAnswer(416, 'InvalidRange');
  const bytes = found.bytes.subarray(from, range[2] === '' ? undefined : Number(range[2]) + 1);
  const contentRange = `bytes ${from}-${from + bytes.length - 1}/${size}`;
  return { status: 206, headers: { ...headers, 'content-range': contentRange }, body: bytes };
}

function deleteMany(bucket: Bucket, body: Buffer, fault: Fault | undefined): Answer {
  const refuses =
    fault !== undefined && 'refuseKeys' in fault ? fault.refuseKeys : (): undefined => undefined;
  const keys = elementsOf(body.toString(), 'Object').map((one) =>
    unescapeXml(elementsOf(one, 'Key')[0] ?? ''),
  );
  const results = keys.map((key) => {
    const code = refuses(key);
    if (code !== undefined)
      return element('Error', element('Key', key), element('Code', code), element('Message', code));
    bucket.objects.delete(key);
    return element('Deleted', element('Key', key));
  });
  return xmlAnswer(element('DeleteResult', ...results));
}

function list(bucket: Bucket, { query }: RecordedRequest, habits: ListingHabits): Answer {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const isEncoded = query.get('encoding-type') === 'url' && habits.ignoresEncoding !== true;
  const shown = [...bucket.objects.keys()].filter(
    (key) => key.startsWith(prefix) && habits.hides?.(key) !== true,
  );
  const entries = new Set<string>();
  const folders = new Set<string>();
  for (const key of shown) {
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    entries.add(cut < 0 ? key : key.slice(0, cut + delimiter.length));
    if (cut >= 0) folders.add(key.slice(0, cut + delimiter.length));
  }
  const order = habits.order ?? ((keys: string[]): string[] => keys.sort(byBytes));
  const all = order([...entries]);
  const from = Number(query.get('continuation-token') ?? 0);
  const pageKeys = Math.min(Number(query.get('max-keys') ?? 1_000), habits.pageKeys ?? 1_000);
  const page = all.slice(from, from + pageKeys);
  const isTruncated = from + page.length < all.length;
  const name = (key: string): string => (isEncoded ? encodeURIComponent(key).replaceAll('%20', '+') : key);
  const contents = page.map((entry) => {
    const found = folders.has(entry) ? undefined : bucket.objects.get(entry);
    if (found === undefined) return element('CommonPrefixes', element('Prefix', name(entry)));
    return element(
      'Contents',
      element('Key', name(entry)),
      element('LastModified', found.modifiedAt.toISOString()),
      element('ETag', `"${found.etag}"`),
      element('Size', found.bytes.length),
    );
  });
  const token = isTruncated && habits.losesToken !== true ? String(from + page.length) : undefined;
  return xmlAnswer(
    element(
      'ListBucketResult',
      element('IsTruncated', isTruncated),
      element('KeyCount', page.length),
      ...(isEncoded ? [element('EncodingType', 'url')] : []),
      ...(token === undefined ? [] : [element('NextContinuationToken', token)]),
      ...contents,
    ),
  );
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function xmlAnswer(root: Raw): Answer {
  return { status: 200, body: documentOf(root) };
}

function errorAnswer(status: number, code: string, fields: Readonly<Record<string, string>> = {}): Answer {
  const more = Object.entries(fields).map(([name, value]) => element(name, value));
  return {
    status,
    body: documentOf(element('Error', element('Code', code), element('Message', `it is ${code}`), ...more)),
  };
}

/** The answer of something between, such as a proxy. */
function isForeign(fault: Fault | undefined): boolean {
  return fault !== undefined && 'answer' in fault && fault.answer.body?.startsWith('<html') === true;
}

function faultAnswer({ answer }: Extract<Fault, { readonly answer: unknown }>): Answer {
  const { status, code, headers = {}, fields, body } = answer;
  if (body !== undefined) return { status, headers: { 'content-type': 'text/html', ...headers }, body };
  if (code === undefined) return { status, headers };
  return { ...errorAnswer(status, code, fields), headers };
}

async function writeBody(response: ServerResponse, body: Buffer, fault: Fault | undefined): Promise<void> {
  const { socket } = response;
  if (fault !== undefined && 'dribble' in fault) {
    for (let at = 0; at < body.length && !response.destroyed; at += fault.dribble.bytes) {
      await sleep(fault.dribble.pauseMs);
      response.write(body.subarray(at, at + fault.dribble.bytes));
    }
    response.end();
  } else if (fault !== undefined && 'resetAnswerAfterBytes' in fault) {
    response.write(body.subarray(0, fault.resetAnswerAfterBytes), () => socket?.resetAndDestroy());
  } else if (fault !== undefined && 'truncateAnswerAtBytes' in fault) {
    response.write(body.subarray(0, fault.truncateAnswerAtBytes), () => socket?.end());
  } else {
    response.end(body);
  }
}

/** `20260131T235959Z` */
function amzDateMs(text: string | undefined): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '');
  if (match === null) return undefined;
  const [year = 0, month = 1, ...rest] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, ...(rest as [number, number, number, number]));
}
