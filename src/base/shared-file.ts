/**
 * Files of ours that another program must be able to use: made with the owner, group and mode of a file of that program, and never
 * visible under their name before they have them.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type DirectoryHandle, NEW_FILE, onFileItself, openDirectory, tellPath } from './directory-handle.ts';
import { systemCode } from './errors.ts';

/** The part of `fs.Stats` that decides who may use a file. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

/** Who this process is; a test brings its own. */
export interface Rights {
  readonly uid: number;
  /** All of them, the primary one first. */
  readonly gids: readonly number[];
  /** Whether permission bits do not hold for this process: root's right, or the capability alone. */
  readonly mayOverride: boolean;
}

/** The second one where this user namespace does not know the group. */
const NOT_OURS_TO_GIVE: ReadonlySet<string> = new Set(['EPERM', 'EINVAL']);

const GROUP_READS_AND_WRITES = 0o060;
const OTHERS_READ_AND_WRITE = 0o006;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
/** capabilities(7) */
const CAP_DAC_OVERRIDE = 1n;

/** Undefined on Windows, which keeps rights in lists that Node.js does not read. */
export function ownRights(): Rights | undefined {
  const uid = process.geteuid?.();
  const gid = process.getegid?.();
  if (uid === undefined || gid === undefined) return undefined;
  const gids = [gid, ...(process.getgroups?.() ?? [])];
  return { uid, gids, mayOverride: uid === 0 || hasOverrideCapability() };
}

function hasOverrideCapability(): boolean {
  try {
    const [, digits] = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
    return digits !== undefined && ((BigInt(`0x${digits}`) >> CAP_DAC_OVERRIDE) & 1n) === 1n;
  } catch {
    return false;
  }
}

/** Whether the owner of `model` can read and write `file`. */
export function mayOwnerUse(file: Ownership, model: Ownership): boolean {
  if (file.uid === model.uid || has(file, OTHERS_READ_AND_WRITE)) return true;
  return file.gid === model.gid && has(file, GROUP_READS_AND_WRITES);
}

/** Whether all who can write `model` by its permission bits can read and write `file`. */
export function mayAllUse(file: Ownership, model: Ownership): boolean {
  if (!mayOwnerUse(file, model)) return false;
  if (!has(model, GROUP_WRITES) || has(file, OTHERS_READ_AND_WRITE)) return true;
  return file.gid === model.gid && has(file, GROUP_READS_AND_WRITES);
}

function has({ mode }: Ownership, bits: number): boolean {
  return (mode & bits) === bits;
}

/**
 * Whether this process can write `model` although its permission bits do not allow it: an access control list does, and new files get
 * theirs from the directory.
 */
export function isAllowedByList(model: Ownership, rights: Rights): boolean {
  if (rights.mayOverride || rights.uid === model.uid || has(model, OTHERS_WRITE)) return false;
  return !(rights.gids.includes(model.gid) && has(model, GROUP_WRITES));
}

/** Whether every file that this process makes can be used by all who can write `model`, if it only gets its mode. */
export function isSharedByDefault(model: Ownership, { uid }: Rights): boolean {
  return uid === model.uid && !has(model, GROUP_WRITES);
}

/** That a file of ours would lock its other users out, and was not made. */
export class OwnerLockedOut extends Error {
  override readonly name = 'OwnerLockedOut';
}

/**
 * Makes an empty file that whoever uses `model` can use too. The file appears under its name with its final owner, group and mode.
 * A file that has the name already stays as it is.
 *
 * @param options - `isTrial`: only finds out whether that can be done
 * @throws OwnerLockedOut when the owner of `model` could not use it: then nothing is made; what the file system does
 */
export function makeSharedFile(
  path: string,
  model: Ownership,
  rights: Rights,
  { isTrial = false }: { readonly isTrial?: boolean } = {},
): void {
  using directory = openParent(path);
  const at = join(directory?.entries ?? dirname(path), basename(path));
  try {
    makeEntry(at, model, rights, isTrial);
  } catch (error) {
    throw tellPath(error, directory?.entries ?? dirname(path), dirname(path));
  }
}

/** Undefined where its names may not be listed; only a user without root's rights meets such a directory. */
function openParent(path: string): DirectoryHandle | undefined {
  try {
    return openDirectory(dirname(path), { mayBeLink: true });
  } catch (error) {
    if (systemCode(error) === 'EACCES') return undefined;
    throw error;
  }
}

function makeEntry(at: string, model: Ownership, rights: Rights, isTrial: boolean): void {
  const temporary = `${at}.tmp-${randomBytes(8).toString('hex')}`;
  fill(temporary, model, rights);
  try {
    if (!isTrial) linkSync(temporary, at);
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (NO_LINKS.has(code)) fill(at, model, rights);
    else if (code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(temporary);
  }
}

/** Answers of file systems that have no hard links. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']);

function fill(at: string, model: Ownership, rights: Rights): void {
  let descriptor: number;
  try {
    descriptor = openSync(at, NEW_FILE, model.mode);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    throw error;
  }
  try {
    share(descriptor, model, rights);
  } catch (error) {
    unlinkSync(at);
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** @throws OwnerLockedOut */
function share(descriptor: number, model: Ownership, rights: Rights): void {
  fchmodSync(descriptor, model.mode);
  if (mayAllUse(fstatSync(descriptor), model)) return;
  try {
    fchownSync(descriptor, rights.mayOverride ? model.uid : rights.uid, model.gid);
  } catch (error) {
    if (!NOT_OURS_TO_GIVE.has(systemCode(error) ?? '')) throw error;
  }
  const made = fstatSync(descriptor);
  if (mayOwnerUse(made, model) || isAllowedByList(model, rights)) return;
  throw new OwnerLockedOut(`it would belong to uid ${made.uid} and gid ${made.gid}`);
}

/**
 * Gives a file of this user, which may be in use, the group and mode of `model` where its other users could not use it. Other files stay
 * as they are.
 *
 * @throws OwnerLockedOut when that may not be done; what the file system does
 */
export function shareFile(path: string, model: Ownership, rights: Rights): void {
  onFileItself(path, (at, found) => {
    if (!found.isFile() || found.uid !== rights.uid || mayAllUse(found, model)) return;
    try {
      chownSync(at, rights.mayOverride ? model.uid : rights.uid, model.gid);
      chmodSync(at, model.mode);
    } catch (error) {
      if (!NOT_OURS_TO_GIVE.has(systemCode(error) ?? '')) throw error;
      if (mayOwnerUse(found, model) || isAllowedByList(model, rights)) return;
      throw new OwnerLockedOut(`it belongs to uid ${found.uid} and gid ${found.gid}`);
    }
  });
}
