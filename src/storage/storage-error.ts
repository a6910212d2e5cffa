import { RivuletError, messageOf, systemCode } from '../base/errors.ts';

/** What to do about the system errors that a person can do something about. */
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: free some space or choose another place.',
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

/** A system error at a path as people see it. @param action what failed, as in "cannot write" */
export function fileFailed(action: string, path: string, error: unknown): RivuletError {
  if (error instanceof RivuletError) return error;
  const code = systemCode(error);
  const hint = code === undefined ? undefined : HINTS[code];
  return new RivuletError('STORAGE_FAILED', `cannot ${action} ${path}: ${problemOf(code, error)}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    details: { path, ...(code === undefined ? {} : { systemCode: code }) },
  });
}

function problemOf(code: string | undefined, error: unknown): string {
  if (code === 'ENOTDIR') return 'it, or a part of it, is a file, expected a directory (ENOTDIR)';
  return messageOf(error);
}

/** An object that does not exist. @param location the store's, without secrets */
export function objectNotFound(location: string, key: string, cause?: unknown): RivuletError {
  return new RivuletError('STORAGE_NOT_FOUND', `there is no object ${key} at ${location}`, {
    cause,
    details: { key, location },
  });
}
