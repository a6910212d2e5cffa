/** What a person who waits for a command is told while a destination is away. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { on, once } from 'node:events';
import { after, test } from 'node:test';
import { startRivulet } from '../support/run-rivulet.ts';

const sockets: Socket[] = [];
/** Takes connections, and never says a word. */
const silent = createServer((socket) => {
  socket.on('error', () => undefined);
  sockets.push(socket);
});
after(() => {
  for (const socket of sockets) socket.destroy();
  silent.close();
});

async function warned({ stderr }: ChildProcess): Promise<void> {
  for await (const [text] of on(stderr!, 'data', { close: ['close'] })) {
    if (String(text).includes('WARN  still waiting for an answer')) return;
  }
  assert.fail('it ended without a warning');
}

test('a destination that never answers is told of within ten seconds', { timeout: 60_000 }, async () => {
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const url = `sftp://u:hunter2@127.0.0.1:${(silent.address() as AddressInfo).port}/app`;
  const started = performance.now();
  const commands = ['generations', 'verify'].map((name) => startRivulet([name, url]));
  try {
    await Promise.all(commands.map(async ({ process }) => warned(process)));
    // Two processes that start on a busy machine take their time.
    assert.ok(performance.now() - started < 20_000);
  } finally {
    for (const { process } of commands) process.kill('SIGINT');
  }
  for (const { ended } of commands) {
    const { err } = await ended;
    assert.doesNotMatch(err, /hunter2/);
  }
});
