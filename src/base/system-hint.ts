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
  EMFILE: 'Too many files are open: raise the limit (ulimit -n, LimitNOFILE of systemd).',
  ENFILE: 'Too many files are open on this machine: raise the limit (fs.file-max).',
  ENAMETOOLONG: 'The path is too long for this file system: choose a shorter one.',
  ESTALE: 'The network file system lost this path: mount it again.',
  ENOTCONN: 'The program behind this mounted file system has ended: mount it again.',
  ETIMEDOUT:
    'The network file system behind this path does not answer: look at its server and at the network.',
  EHOSTDOWN: 'The server of the network file system behind this path is down.',
  ENOLINK: 'The connection to the file server is gone: look at its server and at the network.',
  ECOMM: 'The connection to the file server is disturbed: look at its server and at the network.',
  EREMOTEIO: 'The device or server behind this path reports an error: look at the system log.',
  ENODEV: 'The device behind this path is gone: is everything mounted?',
  ENXIO: 'The device behind this path is gone: is everything mounted?',
  ENOMEDIUM: 'There is no disk in the drive behind this path.',
  EUCLEAN: 'The file system is damaged: unmount it and let its check repair it (fsck, xfs_repair).',
  EBADMSG: 'The file system found a wrong checksum: look at the system log, and check the disk.',
  EHWPOISON: 'The memory of this machine has a hardware error: look at the system log.',
  ENOLCK: 'The file system has no locks to give: start the lock service of the network file system.',
  ENOKEY:
    'The directory is encrypted, or needs a ticket, and the key is not there: unlock it, or renew the ticket.',
  EKEYEXPIRED: 'The key or ticket for this file system has expired: renew it (kinit).',
  EKEYREVOKED: 'The key for this file system was revoked: give it another one.',
  EKEYREJECTED: 'The key for this file system was rejected: give it another one.',
  ENOMEM: 'The machine, or the limit of this process, has no memory left.',
  EMLINK: 'The directory has as many links as this file system allows: choose another place.',
  EOPNOTSUPP: 'This file system cannot do that: choose another one.',
  ENOTSUP: 'This file system cannot do that: choose another one.',
  ENOSYS: 'This file system cannot do that: choose another one.',
  ELOOP: 'A symbolic link leads to itself: correct it.',
  ENOENT: 'A part of this path is missing or a symbolic link leads nowhere: is everything mounted?',
};

/** One sentence; undefined for what is no system error, or one that nobody can do anything about. */
export function systemHint(error: unknown): string | undefined {
  const code = systemCode(error);
  return code !== undefined && Object.hasOwn(HINTS, code) ? HINTS[code] : undefined;
}
