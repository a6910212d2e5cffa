/** Paths and what is answered to each of them; the same over TCP and over a socket file. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import { messageOf } from '../base/errors.ts';
import { visibleLines, visibleText } from '../base/visible-text.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The body of `/healthz`; it answers 200 when `ok`, else 503. */
export interface Health {
  readonly ok: boolean;
  readonly [fact: string]: unknown;
}

/** By path, without a query. */
export type Routes = Readonly<Record<string, () => Answer | Promise<Answer>>>;

/** Answers GET and HEAD by `routes`. Never rejects. */
export async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Routes,
): Promise<void> {
  const { status, contentType, body } = await answerTo(request, routes).catch((error: unknown): Answer =>
    plainAnswer(500, `${visibleText(messageOf(error))}\n`),
  );
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answerTo({ method, url = '' }: IncomingMessage, routes: Routes): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return plainAnswer(405, 'only GET and HEAD are answered\n');
  const [path = ''] = url.split('?');
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  return route === undefined ? plainAnswer(404, `there are ${Object.keys(routes).join(' and ')}\n`) : route();
}

export function plainAnswer(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

export function jsonAnswer(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: `${visibleLines(JSON.stringify(value))}\n` };
}

export function healthAnswer(health: Health): Answer {
  return jsonAnswer(health.ok ? 200 : 503, health);
}
