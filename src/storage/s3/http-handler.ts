/**
 * How requests of the S3 client travel. Node's own HTTP client with kept connections, a limit on the time to connect
 * and a limit on the time without progress, never on a whole request: a body that moves may take as long as it needs.
 *
 * The SDK's handler has an idle limit too, but goes on with it while nobody reads a body, so that a slow reader would
 * lose its connection, and sets it with a delay that cannot be cleared.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { pipeline, type Readable, Transform } from 'node:stream';

export interface HttpLimits {
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly skipVerify: boolean;
}

/** A request as the SDK hands it over. */
interface SignedRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>>;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array | undefined;
}

/** An answer as the SDK takes it. */
interface Answer {
  readonly response: {
    readonly statusCode: number;
    readonly reason: string | undefined;
    readonly headers: Record<string, string>;
    readonly body: Readable;
  };
}

/** Of listings and errors: a page of a thousand names is four MiB when each name is as long as it may be. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Free connections kept; more are made when needed and closed after use. */
const KEPT_SOCKETS = 16;
/** Below the 5 s after which some servers close a silent connection. */
const KEPT_FOR_MS = 4_000;
/** What a completion of an upload in parts may take: the service joins terabytes meanwhile, in silence. */
const PATIENT_IDLE_TIMEOUT_MS = 300_000;

export class HttpHandler {
  readonly metadata: { readonly handlerProtocol: string } = { handlerProtocol: 'http/1.1' };
  readonly #limits: HttpLimits;
  readonly #agent: HttpAgent;
  readonly #secureAgent: HttpsAgent;

  constructor(limits: HttpLimits) {
    this.#limits = limits;
    const options = {
      keepAlive: true,
      maxFreeSockets: KEPT_SOCKETS,
      scheduling: 'lifo',
      timeout: KEPT_FOR_MS,
      // HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Node.js reads them.
      proxyEnv: process.env,
    } as const;
    this.#agent = new HttpAgent(options);
    this.#secureAgent = new HttpsAgent({ ...options, rejectUnauthorized: !limits.skipVerify });
  }

  /** Rejects when the request could not be sent or no answer began; errors of the answer's body come while it is read. */
  async handle(request: SignedRequest, options: { abortSignal?: AbortSignal } = {}): Promise<Answer> {
    const { abortSignal } = options;
    abortSignal?.throwIfAborted();
    const answered = Promise.withResolvers<Answer>();
    const sent = this.#open(request);
    const onAbort = (): void => void sent.destroy(asError(abortSignal?.reason));
    abortSignal?.addEventListener('abort', onAbort, { once: true });
    sent.once('close', () => abortSignal?.removeEventListener('abort', onAbort));
    sent.once('error', answered.reject);
    sent.once('response', (response) => {
      // From here on whoever reads the body watches over it.
      sent.setTimeout(0);
      answered.resolve(answerOf(response, isObject(request, response) ? undefined : ANSWER_BYTES_MAX));
    });
    this.#limit(sent, isPatient(request));
    sent.end(request.body);
    return answered.promise;
  }

  destroy(): void {
    this.#agent.destroy();
    this.#secureAgent.destroy();
  }

  /** The SDK may ask; there is nothing to set. */
  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  #open(request: SignedRequest): ClientRequest {
    const isSecure = request.protocol === 'https:';
    return (isSecure ? httpsRequest : httpRequest)({
      host: addressOf(request.hostname),
      port: request.port,
      method: request.method,
      path: request.path + queryOf(request.query),
      headers: request.headers,
      agent: isSecure ? this.#secureAgent : this.#agent,
    });
  }

  #limit(sent: ClientRequest, patient: boolean): void {
    const { connectTimeoutMs, idleTimeoutMs } = this.#limits;
    const idleMs = patient ? Math.max(PATIENT_IDLE_TIMEOUT_MS, idleTimeoutMs) : idleTimeoutMs;
    sent.setTimeout(idleMs, () => sent.destroy(timedOut(`no progress for ${idleMs} ms`)));
    sent.once('socket', (socket: Socket) => {
      if (!socket.connecting) return;
      const onLate = (): void => void sent.destroy(timedOut(`no connection within ${connectTimeoutMs} ms`));
      const timer = setTimeout(onLate, connectTimeoutMs);
      const clear = (): void => clearTimeout(timer);
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', clear);
      socket.once('close', clear);
    });
  }
}

/** Whether an answer is the content of an object, over which its reader watches. All others are read whole by the SDK. */
function isObject({ method, query = {} }: SignedRequest, { statusCode }: IncomingMessage): boolean {
  const isRead = method === 'GET' && query['list-type'] === undefined && query['uploads'] === undefined;
  return isRead && (statusCode === 200 || statusCode === 206);
}

/** Names below `localhost` are this machine (RFC 6761), which not every resolver knows. */
function addressOf(hostname: string): string {
  return hostname.endsWith('.localhost') ? 'localhost' : hostname.replace(/^\[|\]$/g, '');
}

/** Only the completion of an upload is a POST with an upload's id. */
function isPatient({ method, query }: SignedRequest): boolean {
  return method === 'POST' && query?.['uploadId'] !== undefined;
}

/** Must come out exactly as it was signed. */
function queryOf(query: SignedRequest['query'] = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    if (Array.isArray(value)) return value.map((one) => `${escape(name)}=${escape(one)}`);
    return value === null || value === '' ? [`${escape(name)}=`] : [`${escape(name)}=${escape(value)}`];
  });
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function escape(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function answerOf(response: IncomingMessage, maxBytes: number | undefined): Answer {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  const { statusCode = 0, statusMessage } = response;
  const body = maxBytes === undefined ? response : endedAfter(response, maxBytes);
  return { response: { statusCode, reason: statusMessage, headers, body } };
}

/** The same answer, which fails when it goes on for longer. */
function endedAfter(response: IncomingMessage, maxBytes: number): Readable {
  let lengthBytes = 0;
  const limit = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      lengthBytes += chunk.length;
      if (lengthBytes <= maxBytes) done(null, chunk);
      else done(new Error(`the answer is longer than ${maxBytes} bytes`));
    },
  });
  // What goes wrong is told by the limit to who reads it, and closes the connection.
  pipeline(response, limit, () => undefined);
  return limit;
}

function timedOut(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
