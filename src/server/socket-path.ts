/** Where the control socket is when nobody says it. */
import { join } from 'node:path';

import { runtimeDirectories, type RuntimeWorld } from '../base/runtime-directory.ts';

/** `sun_path` has 104 bytes on macOS and BSD, 108 on Linux, with a zero at the end. */
export const SOCKET_PATH_BYTES_MAX = 103;

/**
 * The places, the best one first: never in a directory that applications archive, since a socket cannot be opened as a file. Pure.
 *
 * @param name - stands for the first database
 * @returns on Windows a pipe
 */
export function socketPaths(name: string, world: RuntimeWorld): readonly string[] {
  if (world.platform === 'win32') return [`\\\\.\\pipe\\rivulet-${name}`];
  return runtimeDirectories(world)
    .map((directory) => join(directory, `${name}.sock`))
    .filter((path) => isShortEnough(path));
}

export function isShortEnough(path: string): boolean {
  return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX;
}
