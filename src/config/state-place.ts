/**
 * Where the local state of a database is kept. Beside the database, unless `meta-path` says otherwise; but root does not
 * work in a directory that another user could exchange under it, and nobody works among files of others.
 */
import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../base/errors.ts';
import { isForState } from '../primary/state-directory.ts';
import { defaultMetaPath } from './paths.ts';

const GROUP_OR_OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** What the place depends on; a test brings its own. */
export interface StateWorld {
  readonly platform: NodeJS.Platform;
  /** Undefined on Windows. */
  readonly uid: number | undefined;
  /** Owner and mode of a directory; undefined when it is not there or cannot be looked at. */
  readonly stat: (path: string) => { readonly uid: number; readonly mode: number } | undefined;
  /** The path behind symbolic links; throws when nothing is there. */
  readonly realPath: (path: string) => string;
}

export const systemStateWorld: StateWorld = {
  platform: process.platform,
  uid: process.geteuid?.(),
  stat: (path) => {
    try {
      return statSync(path, { throwIfNoEntry: false });
    } catch {
      return undefined;
    }
  },
  realPath: realpathSync,
};

/** The place for what root keeps for databases that belong to others. */
export function systemStatePath(databasePath: string, world: StateWorld = systemStateWorld): string {
  const real = realPathOf(databasePath, world);
  const mark = createHash('sha256').update(real).digest('hex').slice(0, 16);
  return join(systemRoot(world.platform), `${basename(real)}-${mark}`);
}

function systemRoot(platform: NodeJS.Platform): string {
  return platform === 'linux' ? '/var/lib/rivulet' : '/var/db/rivulet';
}

/** Where it is kept without a `meta-path`. */
export function defaultStatePath(databasePath: string, world: StateWorld = systemStateWorld): string {
  const isRoot = world.uid === 0;
  const path = behindLink(databasePath, world);
  return isRoot && mayOthersExchange(dirname(path), world)
    ? systemStatePath(path, world)
    : defaultMetaPath(path);
}

/** Beside a file, not beside a link to it, SQLite keeps the WAL, and whoever comes by another link finds the state. */
function behindLink(databasePath: string, world: StateWorld): string {
  try {
    const real = world.realPath(databasePath);
    const isLink = real !== join(world.realPath(dirname(databasePath)), basename(databasePath));
    return isLink ? real : databasePath;
  } catch {
    return databasePath;
  }
}

/** Where it is kept with a `meta-path`: in a folder of our own when that holds the files of others. */
export function givenStatePath(metaPath: string, databasePath: string): string {
  try {
    return isForState(metaPath) ? metaPath : join(metaPath, basename(defaultMetaPath(databasePath)));
  } catch (error) {
    // It cannot be looked at, or is a file: whoever opens it says so.
    if (systemCode(error) === undefined) throw error;
    return metaPath;
  }
}

/** Everywhere that a process of this or another user may keep the state for which this one would take `metaPath`. */
export function possibleStatePaths(
  databasePath: string,
  metaPath: string,
  world: StateWorld = systemStateWorld,
): readonly string[] {
  const usual = [defaultMetaPath(behindLink(databasePath, world)), systemStatePath(databasePath, world)];
  return usual.includes(metaPath) ? [metaPath, ...usual.filter((path) => path !== metaPath)] : [metaPath];
}

/** Whether another user than root may put something else in the place of this directory, or of what is to be made in it. */
function mayOthersExchange(directory: string, world: StateWorld): boolean {
  let at = existing(directory, world);
  for (let isTop = true; ; isTop = false) {
    const facts = world.stat(at);
    if (facts === undefined || facts.uid !== 0) return true;
    const othersWrite = (facts.mode & GROUP_OR_OTHERS_WRITE) !== 0;
    // In a sticky directory others cannot rename what belongs to root, but can take a name that is not there yet.
    if (othersWrite && (isTop || (facts.mode & STICKY) === 0)) return true;
    if (dirname(at) === at) return false;
    at = dirname(at);
  }
}

/** The nearest directory on the way that is there, behind symbolic links. */
function existing(directory: string, world: StateWorld): string {
  for (let at = directory; ; at = dirname(at)) {
    try {
      return world.realPath(at);
    } catch {
      if (dirname(at) === at) return at;
    }
  }
}

/** The path behind symbolic links, as it will be when something is there. */
export function futureRealPath(path: string): string {
  return realPathOf(path, systemStateWorld);
}

function realPathOf(path: string, world: Pick<StateWorld, 'realPath'>): string {
  try {
    return world.realPath(path);
  } catch {
    const folder = dirname(path);
    return folder === path ? path : join(realPathOf(folder, world), basename(path));
  }
}
