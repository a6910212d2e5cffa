/** A connection that is given up before it is one is closed for good, whatever the server goes on doing. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import ssh2 from 'ssh2';

import { systemClock } from '../../../src/base/clock.ts';
import { RivuletError } from '../../../src/base/errors.ts';
import { connectSftp } from '../../../src/storage/sftp/connect.ts';
import { DEFAULT_TIMEOUTS, type SftpStoreOptions } from '../../../src/storage/sftp/options.ts';
import { Scratch } from '../../support/scratch.ts';
import { until } from '../../support/until.ts';

/** Never says goodbye, and never stops by itself. */
class RudeServer {
  readonly sockets: Socket[] = [];
  closed = 0;
  readonly #server: Server;

  constructor(serve: (socket: Socket) => void) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.closed++);
      serve(socket);
      socket.resume();
      // A goodbye alone does not stop it: what it sends fails only when the other side is gone.
      socket.once('end', () => {
        const timer = setInterval(() => socket.write('still here'), 10);
        socket.once('close', () => clearInterval(timer));
      });
    });
  }

  async listen(place: number | string): Promise<number> {
    this.#server.listen(place as number);
    await once(this.#server, 'listening');
    const address = this.#server.address() as AddressInfo | string;
    return typeof address === 'string' ? 0 : address.port;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }
}

let servers: RudeServer[] = [];
let scratch = new Scratch();
beforeEach(() => {
  servers = [];
  scratch = new Scratch();
});
afterEach(() => {
  for (const server of servers) server.close();
  scratch[Symbol.dispose]();
});

async function rude(
  serve: (socket: Socket) => void,
  path?: string,
): Promise<{ server: RudeServer; port: number }> {
  const server = new RudeServer(serve);
  servers.push(server);
  return { server, port: await server.listen(path ?? 0) };
}

/** Sends this as fast as it is taken, for ever. */
function pour(socket: Socket, bytes: string | Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on('drain', more);
  more();
}

async function refusal(port: number, options: Partial<SftpStoreOptions> = {}): Promise<RivuletError> {
  const all = { host: '127.0.0.1', port, user: 'u', path: '/r', password: 'p', insecure: true, ...options };
  const timeouts = { ...DEFAULT_TIMEOUTS, connectMs: 500 };
  const connecting = connectSftp(all, timeouts, systemClock, new AbortController().signal);
  const error = await connecting.then(
    () => assert.fail('it connected'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RivuletError, String(error));
  return error;
}

const IDENTITY = 'SSH-2.0-rude\r\n';

const HANDSHAKES: readonly [title: string, serve: (socket: Socket) => void, message: RegExp][] = [
  ['is silent', () => undefined, /no answer for 0\.5 s/],
  ['greets without an end', (socket) => pour(socket, `${'hello '.repeat(20)}\r\n`), /cannot agree/],
  ['greets with one endless line', (socket) => pour(socket, 'x'.repeat(10_000)), /cannot agree/],
  [
    'sends bad packets without an end',
    (socket) => {
      socket.write(IDENTITY);
      pour(socket, Buffer.alloc(10_000, 0xff));
    },
    /cannot agree/,
  ],
  [
    'sends empty packets without an end',
    (socket) => {
      socket.write(IDENTITY);
      // SSH_MSG_IGNORE with an empty string, again and again.
      const packet = Buffer.from([0, 0, 0, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      pour(socket, Buffer.concat(Array.from({ length: 500 }, () => packet)));
    },
    /cannot agree/,
  ],
];

describe('a server that never lets go', () => {
  for (const [title, serve, message] of HANDSHAKES) {
    it(title, async () => {
      const { server, port } = await rude(serve);
      assert.match((await refusal(port)).message, message);
      await until('it is closed', () => server.closed === server.sockets.length);
    });
  }

  it('shows a host key that is refused, and goes on sending', async () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const ssh = new ssh2.Server({ hostKeys: [privateKey] }, (connection) =>
      connection.on('error', () => undefined),
    );
    const { server, port } = await rude((socket) => {
      ssh.injectSocket(socket);
      setTimeout(() => pour(socket, Buffer.alloc(10_000, 0xff)), 100);
    });
    const hostKeys = [`SHA256:${'0'.repeat(43)}`];
    const error = await refusal(port, { insecure: false, hostKeys });
    assert.equal(error.code, 'HOST_KEY_UNVERIFIED');
    await until('all are closed', () => server.closed === server.sockets.length);
  });

  it('asks for a login, while the ssh-agent never answers', async () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const ssh = new ssh2.Server({ hostKeys: [privateKey] }, (connection) => {
      connection.on('error', () => undefined);
      connection.on('authentication', (context) => context.reject(['publickey']));
    });
    const { port } = await rude((socket) => ssh.injectSocket(socket));
    const agentSocket = scratch.file('agent');
    const { server: agent } = await rude(() => undefined, agentSocket);
    const error = await refusal(port, { password: undefined, agentSocket });
    assert.match(error.message, /cannot log in/);
    assert.equal(agent.sockets.length, 1);
    await until('the agent is let go', () => agent.closed === 1);
  });
});
