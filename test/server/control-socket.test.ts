import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';

import { jsonAnswer, type Routes } from '../../src/server/answers.ts';
import { askSocket } from '../../src/server/ask-socket.ts';
import { removeDeadSocket, startControlSocket } from '../../src/server/control-socket.ts';
import { socketPaths } from '../../src/server/socket-path.ts';
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

test('one that has taken the place of another stays when that one ends', async () => {
  const path = scratch.file('a.sock');
  const first = await open(path);
  assert.deepEqual([first.isCurrent(), first.isReplaced()], [true, false]);
  renameSync(path, scratch.file('former.sock'));
  assert.deepEqual([first.isCurrent(), first.isReplaced()], [false, false]);
  await using second = await open(path);
  assert.deepEqual([first.isCurrent(), first.isReplaced()], [false, true]);
  await first.close();
  assert.deepEqual(await askSocket(path, '/status'), { well: true });
  assert.equal(second.isCurrent(), true);
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

test('the default is outside of the state directory, where a short path is available', () => {
  const world = { platform: 'linux', environment: {}, temporaryPath: '/tmp', uid: 7 } as const;
  assert.deepEqual(socketPaths('x', world), ['/tmp/rivulet-7/x.sock']);
  const runtime = { ...world, environment: { XDG_RUNTIME_DIR: '/run/user/7' }, temporaryPath: '/private' };
  const all = ['/run/user/7/rivulet/x.sock', '/private/rivulet-7/x.sock', '/tmp/rivulet-7/x.sock'];
  assert.deepEqual(socketPaths('x', runtime), all);
  const long = { ...runtime, environment: { XDG_RUNTIME_DIR: `/${'x'.repeat(100)}` } };
  assert.deepEqual(socketPaths('x', long), all.slice(1));
  const service = { ...runtime, environment: { RUNTIME_DIRECTORY: '/run/app:/run/other' } };
  assert.deepEqual(socketPaths('x', service), ['/run/app/x.sock', ...all.slice(1)]);
  const none = { ...runtime, environment: { XDG_RUNTIME_DIR: 'here' } };
  assert.deepEqual(socketPaths('x', none), all.slice(1), 'a relative one means nothing');
  const windows = { ...world, platform: 'win32', uid: undefined } as const;
  assert.deepEqual(socketPaths('x', windows), ['\\\\.\\pipe\\rivulet-x']);
});

test('a dead socket is removed, and nothing else', async () => {
  const first = await open(scratch.file('b.sock'));
  renameSync(scratch.file('b.sock'), scratch.file('a.sock'));
  await removeDeadSocket(scratch.file('a.sock'));
  assert.ok(existsSync(scratch.file('a.sock')), 'it is listened on');
  await first.close();
  writeFileSync(scratch.file('file'), 'mine');
  for (const name of ['a.sock', 'file', 'none']) await removeDeadSocket(scratch.file(name));
  assert.deepEqual(scratch.names(), ['file']);
});

test('who answers something else is not taken for Rivulet', async () => {
  const path = scratch.file('a.sock');
  const answer = { status: 200, contentType: 'text/plain', body: 'hello' };
  await using _other = await startControlSocket({ path, permissions: 0o600, routes: { '/': () => answer } });
  await assert.rejects(askSocket(path, '/'), { code: 'UNSUPPORTED' });
});
