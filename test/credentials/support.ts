/** Sources and servers for the tests of credentials. */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import { setImmediate as turn } from 'node:timers/promises';

import type { CredentialSource, FetchOptions } from '../../src/credentials/source.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';

/** Keys whose three parts show that they belong together. */
export function keysNumber(number: number, expiresAtMs?: number): AwsKeys {
  return {
    accessKeyId: `AKIA-${number}`,
    secretAccessKey: `the-secret-part-of-${number}`,
    sessionToken: `the-token-part-of-${number}`,
    expiresAtMs,
  };
}

/** True when all parts come from the same generation. */
export function belongTogether({ accessKeyId, secretAccessKey, sessionToken }: AwsKeys): boolean {
  const numbers = [accessKeyId, secretAccessKey, sessionToken ?? ''].map((part) => /\d+$/.exec(part)?.[0]);
  return numbers[0] !== undefined && numbers.every((number) => number === numbers[0]);
}

/** A source that a test answers by hand: each fetch waits until it is told what came of it. */
export class ManualSource implements CredentialSource {
  readonly asked: FetchOptions[] = [];
  isChanged = false;
  closed = false;
  #pending: PromiseWithResolvers<AwsKeys>[] = [];

  describe(): string {
    return 'the test';
  }

  changed(): boolean {
    return this.isChanged;
  }

  async fetch(signal: AbortSignal, options: FetchOptions = {}): Promise<AwsKeys> {
    this.asked.push(options);
    const pending = Promise.withResolvers<AwsKeys>();
    this.#pending.push(pending);
    signal.addEventListener('abort', () => pending.reject(signal.reason as Error));
    return pending.promise;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  get waiting(): number {
    return this.#pending.length;
  }

  /** Answers the oldest question and lets everybody who hears it act. */
  async give(keys: AwsKeys): Promise<void> {
    this.#pending.shift()!.resolve(keys);
    await settle();
  }

  async fail(error: Error): Promise<void> {
    this.#pending.shift()!.reject(error);
    await settle();
  }
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 3; round++) await turn();
}

export interface Endpoint extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly requests: IncomingMessage[];
}

export async function startEndpoint(listener: RequestListener, tls?: ServerOptions): Promise<Endpoint> {
  const requests: IncomingMessage[] = [];
  const record: RequestListener = (request, response) => {
    requests.push(request);
    listener(request, response);
  };
  const server: Server = tls === undefined ? createServer(record) : createTlsServer(tls, record);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The error that a promise was rejected with. */
export async function failureOf(work: Promise<unknown>): Promise<Error & { hint?: string; code?: string }> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a failure');
}
