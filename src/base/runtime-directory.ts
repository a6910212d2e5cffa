/** Where a user's programs keep what belongs to running processes: sockets, locks, notes. Never in a directory that others archive. */
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { UntrustedPath } from './directory-handle.ts';
import { openPrivateDirectory, type PrivateDirectory } from './private-directory.ts';

/** What the places depend on; a test brings its own. */
export interface RuntimeWorld {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly temporaryPath: string;
  /** Undefined on Windows. */
  readonly uid: number | undefined;
}

export function runtimeWorld(): RuntimeWorld {
  return {
    platform: process.platform,
    environment: process.env,
    temporaryPath: tmpdir(),
    uid: process.geteuid?.(),
  };
}

/** All places, the best one first. Pure. The last one does not depend on the environment, so that all processes of a user know it. */
export function runtimeDirectories(world: RuntimeWorld): readonly string[] {
  const { platform, environment, temporaryPath, uid } = world;
  const own = `rivulet-${uid ?? 'user'}`;
  const runtime = environment['XDG_RUNTIME_DIR'] ?? '';
  // What systemd makes for a service alone: others find it there also when the service has a /tmp of its own.
  const [service = ''] = (environment['RUNTIME_DIRECTORY'] ?? '').split(':');
  const all = [
    ...(isAbsolute(service) ? [service] : []),
    ...(isAbsolute(runtime) ? [join(runtime, 'rivulet')] : []),
    join(temporaryPath, own),
    ...(platform === 'win32' ? [] : [join('/tmp', own)]),
  ];
  return [...new Set(all)];
}

/**
 * Opens one of them, made when it is not there; what it is to be in must be there already, and belong to this user or root.
 *
 * @throws UntrustedPath; what the file system does
 */
export function openRuntimeDirectory(path: string): PrivateDirectory {
  const parent = dirname(path);
  const uid = process.geteuid?.();
  const { uid: owner } = statSync(parent);
  // The directory of another user's session, as after `sudo -E`.
  if (uid !== undefined && owner !== uid && owner !== 0)
    throw new UntrustedPath(parent, `belongs to another user (uid ${owner})`, 'Unset XDG_RUNTIME_DIR.');
  return openPrivateDirectory(path, { neverMade: parent });
}
