/** The control socket of a daemon: opened at a place that can be found again, noted for each database. */
import { messageOf } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import type { SocketSettings } from '../config/settings.ts';
import type { Routes } from '../server/answers.ts';
import type { ControlSocket } from '../server/control-socket.ts';
import { writeDaemonNote } from './daemon-note.ts';

export interface ControlParts {
  readonly settings: SocketSettings;
  /** The state directory in which the socket lies when no path is configured. */
  readonly metaPath: string;
  readonly routes: Routes;
  readonly logger: Logger;
}

/** Opens it. One that cannot be opened is a warning, for replication goes on without it. */
export async function openControl(parts: ControlParts): Promise<ControlSocket | undefined> {
  const { settings, metaPath, routes, logger } = parts;
  if (!settings.enabled) return undefined;
  const { startControlSocket } = await import('../server/control-socket.ts');
  const { defaultSocketPath, makeSocketDirectory, socketWorld } = await import('../server/socket-path.ts');
  const world = socketWorld();
  const path = settings.path ?? defaultSocketPath(metaPath, world);
  try {
    const isElsewhere = world.platform !== 'win32' && !path.startsWith(metaPath);
    if (settings.path === undefined && isElsewhere) makeSocketDirectory(path, world.uid);
    const socket = await startControlSocket({ path, permissions: settings.permissions, routes });
    logger.debug('answering on the control socket', { path });
    return socket;
  } catch (error) {
    logger.warn('there is no control socket, so `rivulet status` cannot ask; all else goes on', { error });
    return undefined;
  }
}

/** Tells where the socket is. A database whose note cannot be written is not found by `rivulet status`, no more. */
export function noteControl(files: Files, metaPath: string, socket: ControlSocket, logger: Logger): void {
  try {
    writeDaemonNote(files, metaPath, { pid: process.pid, socket: socket.path });
  } catch (error) {
    logger.debug('cannot note where the control socket is', { metaPath, why: messageOf(error) });
  }
}
