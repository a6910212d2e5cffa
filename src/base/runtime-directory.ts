/** Where a user's programs keep what belongs to running processes: sockets, locks, notes. Never in a directory that others archive. */
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

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
  const all = [
    ...(isAbsolute(runtime) ? [join(runtime, 'rivulet')] : []),
    join(temporaryPath, own),
    ...(platform === 'win32' ? [] : [join('/tmp', own)]),
  ];
  return [...new Set(all)];
}
