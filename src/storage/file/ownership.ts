/**
 * Whom stored files belong to. Given away by descriptors alone, since at a path there may be something else by now, and
 * only what was just made here.
 */
import { fchmod, fchown, ignoringErrors } from './file-system.ts';

/** Modes and owner of what is stored; objects inherit those of the database. */
export interface FileOwnership {
  /** Permission bits of objects; 0600 when absent. */
  readonly fileMode?: number | undefined;
  /** Permission bits of directories that are made; 0700 when absent. */
  readonly dirMode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export const FILE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

/** Gives an open file the wanted mode, whatever the umask, and owner; only root may give files away, so that may fail. */
export async function applyToFile(fd: number, ownership: FileOwnership): Promise<void> {
  if (ownership.fileMode !== undefined) await fchmod(fd, ownership.fileMode & 0o777);
  const owner = wantedOwner(ownership);
  if (owner !== undefined) await ignoringErrors(fchown(fd, owner.uid, owner.gid));
}

/** As `applyToFile`, for an open directory that was just made. */
export async function applyToDirectory(fd: number, ownership: FileOwnership): Promise<void> {
  if (ownership.dirMode !== undefined) await fchmod(fd, ownership.dirMode & 0o777);
  const owner = wantedOwner(ownership);
  if (owner !== undefined) await ignoringErrors(fchown(fd, owner.uid, owner.gid));
}

/** The owner to set, or undefined when new files have it anyway. */
function wantedOwner(ownership: FileOwnership): { uid: number; gid: number } | undefined {
  const ownUid = process.geteuid?.();
  const ownGid = process.getegid?.();
  if (ownUid === undefined || ownGid === undefined) return undefined;
  const uid = ownership.uid ?? ownUid;
  const gid = ownership.gid ?? ownGid;
  return uid === ownUid && gid === ownGid ? undefined : { uid, gid };
}
