/** The same kind of server on a socket file: only who may write to that file can ask, and no port is taken. */
import { lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';

import { setModeOf } from '../base/directory-handle.ts';
import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import type { Routes } from './answers.ts';
import { createBoundedServer } from './bounded-server.ts';
import { isShortEnough, SOCKET_PATH_BYTES_MAX } from './socket-path.ts';

export interface ControlSocket extends AsyncDisposable {
  readonly path: string;
  /** Whether the path still leads to this socket. */
  isCurrent(): boolean;
  /** Whether something else has taken its path. */
  isReplaced(): boolean;
  /** Ends connections, stops listening and removes the file; another one in its place stays. */
  close(): Promise<void>;
}

export interface ControlSocketOptions {
  /** On Windows the name of a pipe. */
  readonly path: string;
  /** Permission bits of the file. */
  readonly permissions: number;
  readonly routes: Routes;
}

/**
 * Resolves once it listens. The file of a process that is no more is replaced; any other kind of file never.
 *
 * @throws RivuletError `CONFIG_INVALID` when it cannot listen there
 */
export async function startControlSocket({
  path,
  permissions,
  routes,
}: ControlSocketOptions): Promise<ControlSocket> {
  const isPipe = path.startsWith('\\\\');
  if (!isPipe) await makeRoom(path);
  const server = createBoundedServer(routes);
  await listen(server, path);
  try {
    if (!isPipe) setModeOf(path, permissions, (stats) => stats.isSocket());
  } catch (error) {
    server.close();
    throw error;
  }
  const own = isPipe ? undefined : placeOfEntry(path);
  const isCurrent = (): boolean => isPipe || placeOfEntry(path) === own;
  const isReplaced = (): boolean => !isCurrent() && placeOfEntry(path) !== undefined;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    if (isReplaced()) {
      // Node.js would remove what is there now.
      server.unref();
      server.closeAllConnections();
      return;
    }
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return { path, isCurrent, isReplaced, close, [Symbol.asyncDispose]: close };
}

/** What tells a socket from another one of its name. */
function placeOfEntry(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

async function makeRoom(path: string): Promise<void> {
  if (!isShortEnough(path)) {
    throw cannotListen(path, `the path of a socket has at most ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw cannotListen(path, 'there is a file that is no socket');
  if (await isListenedOn(path)) throw cannotListen(path, 'another process listens there');
  unlinkSync(path);
}

/** Removes a socket that nobody listens on; any other kind of file, and none, stays as it is. */
export async function removeDeadSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isSocket() === true && !(await isListenedOn(path))) unlinkSync(path);
}

/** @throws RivuletError when it cannot be told */
async function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = connect(path);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error) => {
      if (systemCode(error) === 'ECONNREFUSED' || systemCode(error) === 'ENOENT') resolve(false);
      else reject(cannotListen(path, messageOf(error), error));
    });
  });
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(path, messageOf(error), error)));
    server.listen(path, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', () => undefined);
}

function cannotListen(path: string, why: string, cause?: unknown): RivuletError {
  return new RivuletError('CONFIG_INVALID', `cannot listen on the socket ${path}: ${why}`, {
    cause,
    hint: 'Name another place with `socket.path`, or switch it off with `socket.enabled: false`.',
  });
}
