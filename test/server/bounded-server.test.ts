/** Whoever can connect to `addr` or the control socket cannot keep descriptors, places or memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, test } from 'node:test';

import { createBoundedServer, SERVER_LIMITS } from '../../src/server/bounded-server.ts';
import { until } from '../support/until.ts';

const LIMITS = { connections: 8, requestMs: 200, silenceMs: 300, answerMs: 1_000, lookEveryMs: 20 };
const LARGE = 'x'.repeat(64 * 1024 * 1024);

let sockets: Socket[] = [];
let server: Server | undefined;
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  server?.close();
});

async function serve(limits = LIMITS): Promise<number> {
  const answer = (body: string) => () => ({ status: 200, contentType: 'text/plain', body });
  server = createBoundedServer({ '/': answer('well'), '/large': answer(LARGE) }, limits);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Connects and sends this; what comes back is read unless `isDeaf`. */
async function open(port: number, text = '', isDeaf = false): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (!isDeaf) socket.resume();
  socket.write(text);
  return socket;
}

async function openCount(): Promise<number> {
  return new Promise((resolve) => server?.getConnections((_error, count) => resolve(count)));
}

async function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

const HALF = 'GET / HTTP/1.1\r\nHost: x\r\nX: ';

test('more connections than there are places: the oldest go, and a request is answered', async () => {
  const port = await serve({ ...LIMITS, requestMs: 60_000, silenceMs: 60_000 });
  for (let n = 0; n < 100; n++) await open(port, n % 2 === 0 ? HALF : '');
  assert.equal(await ask(port), 'well');
  await until('the places are bounded', async () => (await openCount()) <= LIMITS.connections);
  assert.equal(sockets.at(0)?.destroyed, true);
  assert.equal(sockets.at(-1)?.destroyed, false);
});

for (const [name, text] of [
  ['says nothing', ''],
  ['sends half of a request', HALF],
  ['sends a body that never ends', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx'],
  ['asks once and then no more', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
] as const) {
  test(`who ${name} is gone soon`, async () => {
    const port = await serve();
    await open(port, text);
    await until('it is closed', async () => (await openCount()) === 0);
  });
}

test('who sends its request byte by byte is gone soon', async () => {
  const port = await serve();
  const socket = await open(port, HALF);
  const drip = setInterval(() => socket.write('x'), 20);
  await until('it is closed', async () => (await openCount()) === 0);
  clearInterval(drip);
});

test('who never reads its answer is gone soon', async () => {
  const port = await serve();
  await open(port, 'GET /large HTTP/1.1\r\nHost: x\r\n\r\n', true);
  await until('it is closed', async () => (await openCount()) === 0);
});

test('who reads its answer a little at a time is gone in the end', async () => {
  const port = await serve();
  const socket = await open(port, 'GET /large HTTP/1.1\r\nHost: x\r\n\r\n', true);
  const drip = setInterval(() => socket.read(64 * 1024), 20);
  await until('it is closed', async () => (await openCount()) === 0);
  clearInterval(drip);
});

test('headers without end are refused', async () => {
  const port = await serve({ ...LIMITS, requestMs: 60_000, silenceMs: 60_000 });
  const socket = await open(port, HALF);
  for (let n = 0; n < 100 && !socket.destroyed; n++) socket.write('x'.repeat(1_000));
  await until('it is closed', async () => (await openCount()) === 0);
});

test('the limits in use are short, and leave descriptors to replication', () => {
  const { connections, requestMs, silenceMs, answerMs } = SERVER_LIMITS;
  assert.ok(connections <= 64);
  assert.ok(requestMs <= 10_000 && silenceMs <= 10_000 && answerMs <= 30_000);
});
