/**
 * Plain HTTP requests that can be cancelled at any byte, with connections of their own that are kept and let go of.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { untilAborted } from '../until-aborted.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Must be read to its end, or given up. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Answers other than objects are small; one that is not comes from somebody else. */
const TEXT_BYTES_MAX = 32 * 1024 * 1024;

export class HttpClient {
  readonly #http = new HttpAgent({ keepAlive: true, proxyEnv: process.env });
  readonly #https = new HttpsAgent({ keepAlive: true, proxyEnv: process.env });

  /** @throws what Node.js says of the connection; the signal's reason */
  async send({ method, url, headers, body = [], signal }: HttpRequest): Promise<HttpAnswer> {
    signal?.throwIfAborted();
    const isSecure = url.startsWith('https:');
    const lengthBytes = body.reduce((sum, piece) => sum + piece.length, 0);
    const hasLength = method !== 'GET' && method !== 'DELETE';
    const options = {
      method,
      headers: { ...headers, ...(hasLength ? { 'content-length': String(lengthBytes) } : {}) },
      ...(signal === undefined ? {} : { signal }),
    };
    const answered = Promise.withResolvers<IncomingMessage>();
    const request = isSecure
      ? httpsRequest(url, { ...options, agent: this.#https })
      : httpRequest(url, { ...options, agent: this.#http });
    request.once('response', answered.resolve);
    // Stays: a server that answers before it has read everything may close the connection afterwards.
    request.on('error', answered.reject);
    for (const piece of body) request.write(piece);
    request.end();
    try {
      const response = await answered.promise;
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: untilAborted(response, signal),
      };
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

/** The whole body of a small answer. */
export async function textOf(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const chunk of answer.body) {
    chunks.push(chunk);
    lengthBytes += chunk.length;
    if (lengthBytes > TEXT_BYTES_MAX)
      throw new RangeError('an answer that is longer than any of the service');
  }
  return Buffer.concat(chunks).toString();
}
