/** An output that is a symbolic link to a database that is not there (yet): the restored one belongs where the link leads. */
import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import {
  type DirectoryHandle,
  linkOfAnother,
  mayFollow,
  mustMistrustLinks,
  openDirectory,
} from '../base/directory-handle.ts';
import { systemCode } from '../base/errors.ts';

/** The kernel's own limit for links on one path. */
const LINKS_MAX = 40;

/**
 * The path behind the links at which `path` ends; `path` itself when it is no link, or when something is at the end of them: that
 * one is in the way under the name that people gave.
 *
 * @throws UntrustedPath for a link of another user, where that matters; what the file system does
 */
export function behindLinks(path: string): string {
  if (existsSync(path)) return path;
  let at = path;
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const next = behindLink(at);
    if (next === undefined) return at;
    at = next;
  }
  throw Object.assign(new Error(`ELOOP: too many links, ${path}`), { code: 'ELOOP', path });
}

function behindLink(path: string): string | undefined {
  let directory: DirectoryHandle;
  try {
    directory = openDirectory(dirname(path), { mayBeLink: true });
  } catch (error) {
    // Nothing is in it: it is made later, or refused.
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  using from = directory;
  const entry = from.entry(basename(path));
  const found = lstatSync(entry, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() !== true) return undefined;
  if (mustMistrustLinks() && !mayFollow(found)) throw linkOfAnother(path);
  return resolve(realpathSync(from.entries), readlinkSync(entry));
}
