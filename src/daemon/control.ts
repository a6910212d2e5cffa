/** The control socket of a daemon: opened at a place that can be found again, noted for each database. */
import { dirname, join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { openRuntimeDirectory, runtimeWorld, type RuntimeWorld } from '../base/runtime-directory.ts';
import type { SocketSettings } from '../config/settings.ts';
import type { Routes } from '../server/answers.ts';
import type { ControlSocket } from '../server/control-socket.ts';
import { notePath, writeDaemonNote } from './daemon-note.ts';
import { runtimeName, writeRuntimeNote } from './runtime-notes.ts';

export interface ControlDeps {
  readonly settings: SocketSettings;
  /** The first database, after which the socket is named when no path is configured. */
  readonly databasePath: string;
  /** Its state directory, for a machine that has no other place; undefined while the database does not belong to this process. */
  readonly statePath: string | undefined;
  readonly routes: Routes;
  readonly logger: Logger;
  /** This process's when absent. */
  readonly world?: RuntimeWorld;
}

/** Opens it. One that cannot be opened is a warning, for replication goes on without it. */
export async function openControl({
  settings,
  databasePath,
  statePath,
  routes,
  logger,
  world = runtimeWorld(),
}: ControlDeps): Promise<ControlSocket | undefined> {
  if (!settings.enabled) return undefined;
  const { startControlSocket } = await import('../server/control-socket.ts');
  const { socketPaths } = await import('../server/socket-path.ts');
  const { permissions } = settings;
  const runtime = settings.path === undefined ? socketPaths(runtimeName(databasePath), world) : [];
  const last = [settings.path ?? (statePath === undefined ? [] : formerPath(statePath))].flat();
  const places = [...runtime, ...last];
  let failure: unknown;
  for (const path of places) {
    try {
      if (runtime.includes(path) && process.platform !== 'win32') openRuntimeDirectory(dirname(path)).close();
      const socket = await startControlSocket({ path, permissions, routes });
      logger.debug('answering on the control socket', { path });
      return socket;
    } catch (error) {
      failure ??= error;
    }
  }
  logger.warn('there is no control socket, so `rivulet status` cannot ask; all else goes on', {
    error: failure,
  });
  return undefined;
}

/** A database of which the process that replicates it is told. */
export interface NotedDatabase {
  readonly path: string;
  readonly metaPath: string;
  /** How the state directory is reached; undefined while the database does not belong to this process. */
  readonly stateFiles: Files | undefined;
}

/** Tells where the socket is. A database whose notes cannot be written is not found by `rivulet status`, no more. */
export function noteControl(database: NotedDatabase, socket: ControlSocket, logger: Logger): void {
  const { path, metaPath, stateFiles } = database;
  const note = { pid: process.pid, socket: socket.path };
  writeRuntimeNote(path, note, stateFiles !== undefined);
  if (stateFiles === undefined) return;
  try {
    writeDaemonNote(stateFiles, notePath(metaPath), note);
  } catch (error) {
    logger.debug('cannot note where the control socket is', { metaPath, why: messageOf(error) });
  }
}

function formerPath(metaPath: string): string {
  return join(metaPath, 'control.sock');
}

/** An earlier version had its socket in the state directory, where one of a killed process still is: nobody can archive it. */
export async function removeFormerSocket(
  metaPath: string,
  present: ControlSocket | undefined,
): Promise<void> {
  const former = formerPath(metaPath);
  if (former === present?.path) return;
  const { removeDeadSocket } = await import('../server/control-socket.ts');
  await removeDeadSocket(former).catch(() => undefined);
}
