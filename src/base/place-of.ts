/** Which place a path leads to, however it is spelt: through links, by a hard link, below a directory that is mounted twice. */
import { lstatSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** The kernel's own limit for links on one path. */
const LINKS_MAX = 40;

/**
 * The same text for the same file or directory: its device and inode. What does not exist yet is named after the nearest directory on
 * the way that does, and what cannot be looked at after its path.
 */
export function placeOf(path: string): string {
  return placeWithin(resolve(path), LINKS_MAX);
}

function placeWithin(path: string, linksLeft: number): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    const folder = dirname(path);
    if (folder === path) return path;
    const target = linksLeft > 0 ? targetOf(path) : undefined;
    if (target !== undefined) return placeWithin(resolve(folder, target), linksLeft - 1);
    return `${placeWithin(folder, linksLeft)}/${basename(path)}`;
  }
}

/** Where a link leads that leads nowhere yet. */
function targetOf(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
