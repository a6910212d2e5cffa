/** `/metrics` for Prometheus and `/healthz` for load balancers and orchestrators. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import { parseAddress } from '../config/address.ts';
import { type Health, healthAnswer, type Routes } from './answers.ts';
import { createBoundedServer } from './bounded-server.ts';
import type { Metrics } from './metrics.ts';

/** Without a host only this machine can connect, since metrics tell paths and sizes; `0.0.0.0` opens it to all. */
export const HOST_DEFAULT = '127.0.0.1';

export interface StatusServer extends AsyncDisposable {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number };
  /** Ends connections and stops listening. */
  close(): Promise<void>;
}

export interface StatusServerOptions {
  /** `HOST:PORT`, or `:PORT` for `HOST_DEFAULT`; port 0 takes any free one. */
  readonly addr: string;
  readonly metrics: Pick<Metrics, 'render' | 'contentType'>;
  readonly health: () => Health | Promise<Health>;
}

/** Resolves once it listens. Throws `CONFIG_INVALID` when `addr` is malformed or cannot be listened on. */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const server = createBoundedServer(routesOf(options));
  await listen(server, placeOf(options.addr));
  const { address, port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return { address: { host: address, port }, close, [Symbol.asyncDispose]: close };
}

function placeOf(addr: string): StatusServer['address'] {
  const parsed = parseAddress(addr);
  if (parsed === undefined) {
    throw new RivuletError('CONFIG_INVALID', `addr is "${addr}"; expected HOST:PORT or :PORT`);
  }
  return { host: parsed.host ?? HOST_DEFAULT, port: parsed.port };
}

async function listen(server: Server, address: StatusServer['address']): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(address, error)));
    server.listen(address, resolve);
  });
  server.removeAllListeners('error');
  // A connection that could not be accepted (too many open files) must not end the process; the next one may work.
  server.on('error', () => undefined);
}

function listenFailure({ host, port }: StatusServer['address'], cause: Error): RivuletError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another process listens there already',
    EADDRNOTAVAIL: 'this machine has no such address',
    EACCES: 'permission is denied',
    ENOTFOUND: 'there is no such host',
  };
  const reason = reasons[systemCode(cause) ?? ''] ?? messageOf(cause);
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new RivuletError('CONFIG_INVALID', `cannot listen on addr ${place}: ${reason}`, {
    cause,
    hint: 'choose another addr in the configuration, or remove it to do without metrics',
  });
}

function routesOf({ metrics, health }: StatusServerOptions): Routes {
  return {
    '/metrics': async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.render() }),
    '/healthz': async () => healthAnswer(await health()),
  };
}
