/**
 * The part of Google Cloud Storage's JSON API that a backup needs, in this process, on loopback; and ways to misbehave.
 * Written from cloud.google.com/storage/docs/json_api: there is no emulator to test against.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type GcsCall = 'list' | 'describe' | 'media' | 'multipart' | 'start' | 'part' | 'cancel' | 'remove';

/**
 * - a status: the service says no, and has done nothing
 * - `reset`: the connection breaks before anything was done
 * - `half`: the connection breaks in the middle of the body, whichever way it goes
 * - `lost`: everything is done, and the connection breaks before the answer
 * - `short`: a part is kept only in part; a listing gives a page without anything before the real one
 * - `damaged`: other bytes are stored than those that came
 * - `hang`: nothing happens any more
 */
export type GcsFault =
  | {
      readonly status: number;
      readonly reason?: string;
      readonly message?: string;
      readonly retryAfter?: string;
    }
  | 'reset'
  | 'half'
  | 'lost'
  | 'short'
  | 'damaged'
  | 'hang';

interface Stored {
  readonly bytes: Buffer;
  readonly generation: number;
  readonly timeCreated: string;
}

interface Session {
  readonly name: string;
  readonly ifGenerationMatch: string | null;
  pieces: Buffer[];
  sizeBytes: number;
  made: string | undefined;
}

/** Parts must be multiples of it, and the service keeps multiples of it. */
const QUANTUM_BYTES = 256 * 1024;

export class LoopbackGcs implements AsyncDisposable {
  readonly objects: Map<string, Stored> = new Map();
  readonly sessions: Map<string, Session> = new Map();
  readonly calls: GcsCall[] = [];
  /** Tokens that are accepted. */
  readonly tokens: Set<string> = new Set(['token-1']);
  /** Objects and prefixes on one page. */
  pageSize = 1_000;
  /** Asked before each call; undefined lets it through. */
  fault: (call: GcsCall, url: URL) => GcsFault | undefined = () => undefined;
  /** The largest body of one request. */
  largestBodyBytes = 0;
  readonly #bucket: string;
  readonly #server: Server;
  #generation = 1_700_000_000_000_000;

  private constructor(bucket: string) {
    this.#bucket = bucket;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(bucket: string): Promise<LoopbackGcs> {
    const gcs = new LoopbackGcs(bucket);
    await new Promise<void>((resolve) => gcs.#server.listen(0, '127.0.0.1', resolve));
    return gcs;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next `count` calls of that kind misbehave, then all is well. */
  failNext(kind: GcsCall, fault: GcsFault, count = 1): void {
    let left = count;
    this.fault = (call) => (call === kind && left > 0 ? (left--, fault) : undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.endpoint);
    const call = callOf(request.method ?? '', url);
    if (call === undefined) {
      refuse(response, 404, 'notFound', 'Not Found');
      return;
    }
    this.calls.push(call);
    const fault = this.fault(call, url);
    if (fault === 'reset') {
      request.socket.destroy();
      return;
    }
    if (fault === 'hang') return;
    if (fault === 'half' && request.method !== 'GET') {
      await halfOf(request);
      request.socket.destroy();
      return;
    }
    const body = await bodyOf(request);
    this.largestBodyBytes = Math.max(this.largestBodyBytes, body.length);
    if (typeof fault === 'object') {
      if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter);
      refuse(response, fault.status, fault.reason ?? 'backendError', fault.message ?? 'Backend Error');
      return;
    }
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined || !this.tokens.has(token)) {
      refuse(response, 401, 'authError', 'Invalid Credentials');
      return;
    }
    if (bucketOf(url) !== this.#bucket) {
      refuse(response, 404, 'notFound', 'The specified bucket does not exist.');
      return;
    }
    const answer = fault === 'lost' ? lost(request) : response;
    this.#handle(call, url, request, body, answer, fault);
  }

  #handle(
    call: GcsCall,
    url: URL,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse | Lost,
    fault: GcsFault | undefined,
  ): void {
    switch (call) {
      case 'list':
        return this.#list(url, response, fault === 'short');
      case 'describe':
        return this.#describe(nameOf(url), response);
      case 'media':
        return this.#media(url, request, response, fault === 'half');
      case 'remove':
        return this.#remove(url, response);
      case 'multipart':
        return this.#multipart(url, request, body, response);
      case 'start':
        return this.#start(url, response);
      case 'part':
        return this.#part(url, request, body, response, fault);
      case 'cancel':
        this.sessions.delete(url.searchParams.get('upload_id') ?? '');
        response.writeHead(499).end();
    }
  }

  #list(url: URL, response: ServerResponse | Lost, isEmptyFirst: boolean): void {
    const prefix = url.searchParams.get('prefix') ?? '';
    const delimiter = url.searchParams.get('delimiter');
    const after = Buffer.from(url.searchParams.get('pageToken') ?? '', 'base64url').toString();
    if (isEmptyFirst && after === '') {
      json(response, 200, { nextPageToken: Buffer.from('\u0001').toString('base64url') });
      return;
    }
    const entries = new Map<string, object | undefined>();
    for (const [name, stored] of this.objects) {
      if (!name.startsWith(prefix)) continue;
      const end = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
      if (end === -1) entries.set(name, described(name, stored));
      else entries.set(name.slice(0, end + 1), undefined);
    }
    const sorted = [...entries].filter(([name]) => byBytes(name, after) > 0);
    sorted.sort(([a], [b]) => byBytes(a, b));
    const page = sorted.slice(0, this.pageSize);
    const last = page.at(-1)?.[0];
    json(response, 200, {
      items: page.map(([, item]) => item).filter((item) => item !== undefined),
      prefixes: page.filter(([, item]) => item === undefined).map(([name]) => name),
      ...(sorted.length > page.length && last !== undefined
        ? { nextPageToken: Buffer.from(last).toString('base64url') }
        : {}),
    });
  }

  #describe(name: string, response: ServerResponse | Lost): void {
    const stored = this.objects.get(name);
    if (stored === undefined) refuse(response, 404, 'notFound', `No such object: ${this.#bucket}/${name}`);
    else json(response, 200, described(name, stored));
  }

  #media(url: URL, request: IncomingMessage, response: ServerResponse | Lost, isHalf: boolean): void {
    const name = nameOf(url);
    const stored = this.objects.get(name);
    const generation = url.searchParams.get('generation');
    if (stored === undefined || (generation !== null && generation !== String(stored.generation))) {
      response.writeHead(404, { 'content-type': 'text/html' }).end(`No such object: ${this.#bucket}/${name}`);
      return;
    }
    const { bytes } = stored;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const from = Number(range?.[1] ?? 0);
    const to = range?.[2] === undefined || range[2] === '' ? bytes.length : Number(range[2]) + 1;
    if (range !== null && from >= bytes.length) {
      response.writeHead(416).end('The requested range cannot be satisfied.');
      return;
    }
    const part = bytes.subarray(from, to);
    response.writeHead(range === null ? 200 : 206, {
      'content-length': part.length,
      'x-goog-generation': stored.generation,
    });
    if (!isHalf) response.end(part);
    else response.write(part.subarray(0, part.length >>> 1), () => request.socket.destroy());
  }

  #remove(url: URL, response: ServerResponse | Lost): void {
    const name = nameOf(url);
    const stored = this.objects.get(name);
    if (stored === undefined) refuse(response, 404, 'notFound', `No such object: ${this.#bucket}/${name}`);
    else if (!this.#isMet(name, url.searchParams.get('ifGenerationMatch'))) unmet(response);
    else {
      this.objects.delete(name);
      response.writeHead(204).end();
    }
  }

  #multipart(url: URL, request: IncomingMessage, body: Buffer, response: ServerResponse | Lost): void {
    const boundary = /^multipart\/related; boundary=(.+)$/.exec(request.headers['content-type'] ?? '')?.[1];
    const parts = boundary === undefined ? undefined : partsOf(body, boundary);
    if (parts === undefined) {
      refuse(response, 400, 'badContent', 'Malformed multipart body.');
      return;
    }
    const { md5Hash } = JSON.parse(parts[0].toString()) as { md5Hash?: string };
    if (md5Hash !== undefined && md5Hash !== md5(parts[1])) {
      refuse(response, 400, 'invalid', 'Provided MD5 hash does not match calculated MD5 hash.');
      return;
    }
    const name = url.searchParams.get('name') ?? '';
    if (!this.#isMet(name, url.searchParams.get('ifGenerationMatch'))) unmet(response);
    else json(response, 200, this.#store(name, parts[1]));
  }

  #start(url: URL, response: ServerResponse | Lost): void {
    const name = url.searchParams.get('name') ?? '';
    const ifGenerationMatch = url.searchParams.get('ifGenerationMatch');
    if (!this.#isMet(name, ifGenerationMatch)) {
      unmet(response);
      return;
    }
    const id = randomUUID();
    this.sessions.set(id, { name, ifGenerationMatch, pieces: [], sizeBytes: 0, made: undefined });
    const location = `${this.endpoint}${url.pathname}?uploadType=resumable&upload_id=${id}`;
    response.writeHead(200, { location }).end();
  }

  #part(
    url: URL,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse | Lost,
    fault: GcsFault | undefined,
  ): void {
    const session = this.sessions.get(url.searchParams.get('upload_id') ?? '');
    const range = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(request.headers['content-range'] ?? '');
    if (session === undefined || range === null) {
      refuse(response, session === undefined ? 404 : 400, 'invalid', 'no such upload, or no range');
      return;
    }
    if (session.made !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(session.made);
      return;
    }
    const isLast = range[3] !== '*';
    if (range[1] !== undefined) {
      const isWhole = isLast || body.length % QUANTUM_BYTES === 0;
      if (
        Number(range[1]) !== session.sizeBytes ||
        Number(range[2]) - Number(range[1]) + 1 !== body.length ||
        !isWhole
      ) {
        refuse(response, 400, 'invalid', 'The range does not fit.');
        return;
      }
      const kept = fault === 'short' ? body.subarray(0, quantized(body.length >>> 1)) : body;
      session.pieces.push(kept);
      session.sizeBytes += kept.length;
    }
    if (isLast && Number(range[3]) === session.sizeBytes)
      this.#finish(session, response, fault === 'damaged');
    else {
      const reached = session.sizeBytes === 0 ? {} : { range: `bytes=0-${session.sizeBytes - 1}` };
      response.writeHead(308, reached).end();
    }
  }

  #finish(session: Session, response: ServerResponse | Lost, isDamaged: boolean): void {
    if (!this.#isMet(session.name, session.ifGenerationMatch)) {
      unmet(response);
      return;
    }
    const bytes = Buffer.concat(session.pieces);
    if (isDamaged) bytes.writeUInt8((bytes.readUInt8(7) + 1) % 256, 7);
    session.made = JSON.stringify(this.#store(session.name, bytes));
    session.pieces = [];
    response.writeHead(200, { 'content-type': 'application/json' }).end(session.made);
  }

  #store(name: string, bytes: Buffer): object {
    const stored = { bytes, generation: ++this.#generation, timeCreated: new Date().toISOString() };
    this.objects.set(name, stored);
    return described(name, stored);
  }

  #isMet(name: string, ifGenerationMatch: string | null): boolean {
    if (ifGenerationMatch === null) return true;
    return Number(ifGenerationMatch) === (this.objects.get(name)?.generation ?? 0);
  }
}

function callOf(method: string, url: URL): GcsCall | undefined {
  const { pathname, searchParams } = url;
  if (pathname.startsWith('/upload/')) {
    if (method === 'PUT') return 'part';
    if (method === 'DELETE') return 'cancel';
    return searchParams.get('uploadType') === 'multipart' ? 'multipart' : 'start';
  }
  if (!/^\/storage\/v1\/b\/[^/]+\/o(\/[^/]+)?$/.test(pathname)) return undefined;
  if (method === 'DELETE') return 'remove';
  if (pathname.endsWith('/o')) return 'list';
  return searchParams.get('alt') === 'media' ? 'media' : 'describe';
}

function bucketOf({ pathname }: URL): string {
  return decodeURIComponent(/\/b\/([^/]+)\/o/.exec(pathname)?.[1] ?? '');
}

function nameOf({ pathname }: URL): string {
  return decodeURIComponent(/\/o\/([^/]+)$/.exec(pathname)?.[1] ?? '');
}

function described(name: string, { bytes, generation, timeCreated }: Stored): object {
  return {
    name,
    size: String(bytes.length),
    timeCreated,
    generation: String(generation),
    md5Hash: md5(bytes),
  };
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function quantized(bytes: number): number {
  return bytes - (bytes % QUANTUM_BYTES);
}

/** The contents of the two parts of a body. */
function partsOf(body: Buffer, boundary: string): [Buffer, Buffer] | undefined {
  const first = body.indexOf(`--${boundary}\r\n`);
  const second = body.indexOf(`\r\n--${boundary}\r\n`, first + 1);
  const end = body.lastIndexOf(`\r\n--${boundary}--`);
  if (first !== 0 || second === -1 || end <= second) return undefined;
  const contentFrom = (at: number): number => body.indexOf('\r\n\r\n', at + 2) + 4;
  return [body.subarray(contentFrom(first), second), body.subarray(contentFrom(second), end)];
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function halfOf(request: IncomingMessage): Promise<void> {
  const wantedBytes = Number(request.headers['content-length'] ?? 0) / 2;
  let gotBytes = 0;
  for await (const chunk of request) {
    gotBytes += (chunk as Buffer).length;
    if (gotBytes >= wantedBytes) return;
  }
}

/** Takes an answer and breaks the connection. */
interface Lost {
  writeHead(status: number, headers?: object): Lost;
  write(chunk: Uint8Array, done?: () => void): void;
  end(body?: unknown): void;
}

function lost(request: IncomingMessage): Lost {
  const nowhere: Lost = {
    writeHead: () => nowhere,
    write: () => undefined,
    end: () => void request.socket.destroy(),
  };
  return nowhere;
}

function json(response: ServerResponse | Lost, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse | Lost, status: number, reason: string, message: string): void {
  json(response, status, {
    error: { code: status, message, errors: [{ domain: 'global', reason, message }] },
  });
}

function unmet(response: ServerResponse | Lost): void {
  refuse(response, 412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.');
}
