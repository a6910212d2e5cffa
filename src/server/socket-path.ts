/** Where the control socket lies when nobody says it. */
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { UntrustedPath } from '../base/directory-handle.ts';
import { RivuletError } from '../base/errors.ts';
import { openPrivateDirectory } from '../base/private-directory.ts';

/** `sun_path` has 104 bytes on macOS and BSD, 108 on Linux, with a zero at the end. */
export const SOCKET_PATH_BYTES_MAX = 103;

/** What the place depends on; a test brings its own. */
export interface SocketWorld {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly temporaryPath: string;
  /** Undefined on Windows. */
  readonly uid: number | undefined;
}

export function socketWorld(): SocketWorld {
  return {
    platform: process.platform,
    environment: process.env,
    temporaryPath: tmpdir(),
    uid: process.getuid?.(),
  };
}

/**
 * Pure. In the state directory, which only its owner may enter; where that path is too long for a socket, in the user's
 * directory for such files; on Windows a pipe.
 *
 * @param metaPath - the state directory of one of the databases
 */
export function defaultSocketPath(metaPath: string, world: SocketWorld): string {
  const name = createHash('sha256').update(metaPath).digest('hex').slice(0, 16);
  if (world.platform === 'win32') return `\\\\.\\pipe\\rivulet-${name}`;
  const beside = join(metaPath, 'control.sock');
  if (isShortEnough(beside)) return beside;
  const runtime = world.environment['XDG_RUNTIME_DIR'];
  const own = join(world.temporaryPath, `rivulet-${world.uid ?? 'user'}`, `${name}.sock`);
  if (runtime === undefined || runtime === '') return own;
  const inRuntime = join(runtime, 'rivulet', `${name}.sock`);
  return isShortEnough(inRuntime) ? inRuntime : own;
}

export function isShortEnough(path: string): boolean {
  return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX;
}

/**
 * Makes the directory of a socket that lies outside of the state directory, for its owner alone. One that another user
 * has made there before is not used: it could be replaced under us.
 *
 * @throws RivuletError `CONFIG_INVALID`
 */
export function makeSocketDirectory(socketPath: string, uid: number | undefined): void {
  const directory = dirname(socketPath);
  try {
    using opened = openPrivateDirectory(directory);
    const owner = opened.files.stat(directory)?.uid;
    if (uid === undefined || owner === uid) return;
  } catch (error) {
    if (!(error instanceof UntrustedPath)) throw error;
  }
  throw new RivuletError(
    'CONFIG_INVALID',
    `${directory} belongs to somebody else, or others may write there`,
    {
      hint: 'Remove it, or name another place with `socket.path`.',
    },
  );
}
