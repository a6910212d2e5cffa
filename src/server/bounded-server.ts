/**
 * An HTTP server whose clients cannot use up what replication needs. Each connection is a descriptor, and whoever can
 * connect can open many, send half of a request, or never read the answer.
 */
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { respond, type Routes } from './answers.ts';

export interface ServerLimits {
  /** Open at the same time. */
  readonly connections: number;
  /** A request that is not here whole by then is not going to be. */
  readonly requestMs: number;
  /** Without a byte in either direction. */
  readonly silenceMs: number;
  /** From a request to the last byte of its answer. */
  readonly answerMs: number;
  /** How often the times are looked at; until then, a connection may stay longer. */
  readonly lookEveryMs: number;
}

export const SERVER_LIMITS: ServerLimits = {
  // Scrapers, probes and people at the same time; a small part of the 256 descriptors of the narrowest usual limit.
  connections: 32,
  // Requests are a few lines.
  requestMs: 5_000,
  // Longer than our own answers take on a busy machine.
  silenceMs: 10_000,
  // The metrics of ten thousand databases over a slow line.
  answerMs: 30_000,
  lookEveryMs: 1_000,
};

/** Requests have a few short headers. */
const HEADER_BYTES_MAX = 8 * 1024;
/** Then a client connects again, so that it does not keep its place for ever. */
const REQUESTS_PER_CONNECTION_MAX = 1_000;

export function createBoundedServer(routes: Routes, limits: ServerLimits = SERVER_LIMITS): Server {
  const connections = new Connections(limits.connections);
  const server = createServer(
    {
      headersTimeout: limits.requestMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.silenceMs,
      connectionsCheckingInterval: limits.lookEveryMs,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => {
      connections.answering(request.socket, response);
      endInTime(response, limits.answerMs);
      void respond(request, response, routes);
    },
  );
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX;
  server.setTimeout(limits.silenceMs);
  server.on('connection', (socket: Socket) => connections.add(socket));
  return server;
}

/** A client that reads a byte now and then is never silent. */
function endInTime(response: ServerResponse, answerMs: number): void {
  const timer = setTimeout(() => response.destroy(), answerMs);
  timer.unref();
  response.once('close', () => clearTimeout(timer));
}

/**
 * When there are too many, the oldest that is not being answered gives way to the new one: a probe gets its answer
 * although somebody holds all places.
 */
class Connections {
  readonly #max: number;
  /** The oldest first. */
  readonly #open = new Set<Socket>();
  readonly #answering = new Set<Socket>();

  constructor(max: number) {
    this.#max = max;
  }

  add(socket: Socket): void {
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#answering.delete(socket);
    });
    if (this.#open.size <= this.#max) return;
    const oldest = this.#open.values().find((one) => !this.#answering.has(one)) ?? socket;
    this.#open.delete(oldest);
    oldest.destroy();
  }

  answering(socket: Socket, response: ServerResponse): void {
    this.#answering.add(socket);
    response.once('close', () => this.#answering.delete(socket));
  }
}
