import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';

import { jsonAnswer, type Routes } from '../../src/server/answers.ts';
import { askSocket } from '../../src/server/ask-socket.ts';
import { startControlSocket } from '../../src/server/control-socket.ts';
import { defaultSocketPath, makeSocketDirectory } from '../../src/server/socket-path.ts';
import { Scratch } from '../support/scratch.ts';

let scratch = new Scratch();
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const routes: Routes = { '/status': () => jsonAnswer(200, { well: true }) };

async function open(path: string, permissions: number = 0o600): ReturnType<typeof startControlSocket> {
  return startControlSocket({ path, permissions, routes });
}

async function statusOf(socketPath: string, path: string, method: string = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, method, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    asking.once('error', reject);
    asking.end();
  });
}

test('answers, with the permissions that were asked for, and leaves nothing behind', async () => {
  const path = scratch.file('a.sock');
  const socket = await open(path);
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await askSocket(path, '/status'), { well: true });
  assert.equal(await statusOf(path, '/other'), 404);
  assert.equal(await statusOf(path, '/status', 'POST'), 405);
  await socket.close();
  assert.equal(existsSync(path), false);
  assert.equal(await askSocket(path, '/status'), undefined);
  await using _wide = await open(path, 0o660);
  assert.equal(lstatSync(path).mode & 0o777, 0o660);
});

test('a socket whose process is gone is replaced, one that is listened on never', async () => {
  const path = scratch.file('a.sock');
  const first = await open(scratch.file('b.sock'));
  renameSync(scratch.file('b.sock'), path);
  await assert.rejects(open(path), { code: 'CONFIG_INVALID', message: /another process listens/ });
  assert.deepEqual(await askSocket(path, '/status'), { well: true });
  await first.close();
  assert.ok(existsSync(path), 'as after a kill');
  assert.equal(await askSocket(path, '/status'), undefined);
  await using _second = await open(path);
  assert.deepEqual(await askSocket(path, '/status'), { well: true });
});

test('another kind of file is never replaced', async () => {
  writeFileSync(scratch.file('a.sock'), 'mine');
  mkdirSync(scratch.file('b.sock'));
  for (const name of ['a.sock', 'b.sock'])
    await assert.rejects(open(scratch.file(name)), { code: 'CONFIG_INVALID', message: /no socket/ });
  assert.equal(readFileSync(scratch.file('a.sock'), 'utf8'), 'mine');
});

test('a path that no socket can have is said to be too long', async () => {
  await assert.rejects(open(scratch.file('a'.repeat(120))), { message: /at most 103 bytes/ });
});

test('the default lies in the state directory, or where a short path is to be had', () => {
  const world = { platform: 'linux', environment: {}, temporaryPath: '/tmp', uid: 7 } as const;
  const long = `/data/${'x'.repeat(100)}`;
  assert.equal(defaultSocketPath('/data/.a-rivulet', world), '/data/.a-rivulet/control.sock');
  assert.match(defaultSocketPath(long, world), /^\/tmp\/rivulet-7\/[0-9a-f]{16}\.sock$/);
  const runtime = { ...world, environment: { XDG_RUNTIME_DIR: '/run/user/7' } };
  assert.match(defaultSocketPath(long, runtime), /^\/run\/user\/7\/rivulet\/[0-9a-f]{16}\.sock$/);
  assert.notEqual(defaultSocketPath(long, world), defaultSocketPath(`${long}y`, world));
  const windows = { ...world, platform: 'win32', uid: undefined } as const;
  assert.match(defaultSocketPath('C:\\data', windows), /^\\\\\.\\pipe\\rivulet-[0-9a-f]{16}$/);
});

test('a directory in which others may write holds no socket', () => {
  const directory = scratch.file('shared');
  const path = join(directory, 'a.sock');
  makeSocketDirectory(path, process.getuid?.());
  assert.equal(lstatSync(directory).mode & 0o777, 0o700);
  makeSocketDirectory(path, process.getuid?.());
  assert.throws(() => makeSocketDirectory(path, 4_711), { code: 'CONFIG_INVALID' });
  chmodSync(directory, 0o777);
  assert.throws(() => makeSocketDirectory(path, process.getuid?.()), { code: 'CONFIG_INVALID' });
});

test('who answers something else is not taken for Rivulet', async () => {
  const path = scratch.file('a.sock');
  const answer = { status: 200, contentType: 'text/plain', body: 'hello' };
  await using _other = await startControlSocket({ path, permissions: 0o600, routes: { '/': () => answer } });
  await assert.rejects(askSocket(path, '/'), { code: 'UNSUPPORTED' });
});
