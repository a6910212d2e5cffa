/** One small HTTP request to an endpoint that gives keys. */
import { request as requestHttp } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';

import { messageOf, systemCode } from '../base/errors.ts';
import { redact } from './redact.ts';

export interface EndpointRequest {
  readonly url: URL;
  readonly method?: 'GET' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** For https: certificate, key and so on. */
  readonly tls?: RequestOptions;
}

export interface EndpointAnswer {
  readonly status: number;
  readonly body: string;
  /** The server's own time, when it told. */
  readonly dateMs: number | undefined;
}

const BODY_BYTES_MAX = 64 * 1024;

/** @throws Error as Node.js has it, for `networkProblem`, or the signal's reason */
export async function ask(asked: EndpointRequest): Promise<EndpointAnswer> {
  asked.signal.throwIfAborted();
  const limit = new AbortController();
  const tooLate = Object.assign(new Error(`no answer within ${asked.timeoutMs / 1_000} s`), {
    code: 'ETIMEDOUT',
  });
  const timer = setTimeout(() => limit.abort(tooLate), asked.timeoutMs);
  try {
    return await exchange(asked, AbortSignal.any([asked.signal, limit.signal]));
  } catch (error) {
    asked.signal.throwIfAborted();
    throw limit.signal.aborted ? tooLate : error;
  } finally {
    clearTimeout(timer);
  }
}

async function exchange(asked: EndpointRequest, signal: AbortSignal): Promise<EndpointAnswer> {
  const request = await open(asked, signal);
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
  });
  request.end();
  const response = await answered;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new Error('the answer is longer than 64 KiB');
    chunks.push(chunk);
  }
  const dateMs = Date.parse(response.headers.date ?? '');
  return {
    status: response.statusCode ?? 0,
    body: Buffer.concat(chunks).toString('utf8'),
    dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
  };
}

async function open(asked: EndpointRequest, signal: AbortSignal): Promise<ClientRequest> {
  // No connection is kept: the next request comes in minutes, perhaps with another certificate.
  const options = {
    method: asked.method ?? 'GET',
    headers: { ...asked.headers },
    agent: false as const,
    signal,
  };
  if (asked.url.protocol !== 'https:') return requestHttp(asked.url, options);
  const { request: requestHttps } = await import('node:https');
  return requestHttps(asked.url, { ...asked.tls, ...options });
}

const NETWORK_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'its host name is unknown',
  EAI_AGAIN: 'its host name cannot be looked up now',
  EHOSTUNREACH: 'its host cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
  EHOSTDOWN: 'its host is down',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
};

/** One clause for an error of `ask`. */
export function networkProblem(error: unknown): string {
  const code = systemCode(error);
  const known = code === undefined ? undefined : NETWORK_PROBLEMS[code];
  if (known !== undefined) return `${known} (${code})`;
  return redact(messageOf(error));
}

/** What an endpoint said about a failure, without what looks like a secret. */
export function saidBy({ status, body }: EndpointAnswer): string {
  let text = body;
  try {
    const value = JSON.parse(body) as { message?: unknown; Message?: unknown };
    const said = value.message ?? value.Message;
    text = typeof said === 'string' ? said : '';
  } catch {
    if (/^\s*</.test(body)) text = '';
  }
  const said = redact(text);
  return said === '' ? `it answered with status ${status}` : `it answered with status ${status}: ${said}`;
}

/**
 * The keys in an answer, under the names that the endpoint uses.
 *
 * @throws Error with one clause; the answer is never part of it
 */
export function objectIn(answer: EndpointAnswer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(answer.body);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new Error('its answer is not a JSON object');
}
