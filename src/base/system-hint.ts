/** What to do about the system errors that a person can do something about. */
import { systemCode } from './errors.ts';

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: free some space or choose another place.',
  EFBIG:
    'The file would be larger than is allowed here: raise the limit (ulimit -f), or choose another file system.',
  EDQUOT: "The user's disk quota is used up: raise it, or free some space.",
  EROFS:
    'The file system is mounted read-only: remount it writable; it may have become so after a disk error.',
  EACCES: 'The user that Rivulet runs as may not do this: change the owner or the mode of the path.',
  EPERM: 'The user that Rivulet runs as may not do this: change the owner or the mode of the path.',
  EIO: 'The disk or the network behind this path reports an error: look at the system log.',
  ENOTDIR:
    'A part of this path is a file where a directory is expected: move it away, or choose another path.',
  EISDIR: 'There is a directory where a file is expected: move it away, or choose another path.',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
  ENFILE: 'Too many files are open on this machine: raise the limit (fs.file-max).',
  ENAMETOOLONG: 'The path is too long for this file system: choose a shorter one.',
  ESTALE: 'The network file system lost this path: mount it again.',
  ELOOP: 'A symbolic link leads to itself: correct it.',
  ENOENT: 'A part of this path is missing or a symbolic link leads nowhere: is everything mounted?',
};

/** One sentence; undefined for what is no system error, or one that nobody can do anything about. */
export function systemHint(error: unknown): string | undefined {
  const code = systemCode(error);
  return code !== undefined && Object.hasOwn(HINTS, code) ? HINTS[code] : undefined;
}
