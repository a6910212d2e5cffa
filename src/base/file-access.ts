/** Who beside its owner may read or write a file; decided from its facts, without I/O. */

/** The part of `fs.Stats` that is looked at. */
export interface FileOwnership {
  readonly mode: number;
  readonly uid: number;
}

const GROUP_READ = 0o040;
const GROUP_WRITE = 0o020;
const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;
const BEYOND_OWNER = 0o077;

/** As in `0666`. */
export function modeText({ mode }: FileOwnership): string {
  return `0${(mode & 0o777).toString(8).padStart(3, '0')}`;
}

/**
 * OpenSSH's rule for private keys: who owns one keeps it from everybody else. A key of another owner (root, who gives it
 * to a service by its group) is not refused.
 *
 * @param uid - of this process; undefined where there are none
 */
export function isUnprotectedKey(file: FileOwnership, uid: number | undefined): boolean {
  return uid !== undefined && file.uid === uid && (file.mode & BEYOND_OWNER) !== 0;
}

/**
 * What others may do with a secret, as in `readable and writable by others`; undefined when nothing is wrong. That its
 * group reads it is how a service is given the file of another owner.
 */
export function secretExposure(file: FileOwnership): string | undefined {
  const reads = (file.mode & OTHERS_READ) !== 0 ? 'readable by others' : undefined;
  return joined(reads, tampering(file));
}

/** As `secretExposure`, for a file that says who is trusted: anybody may read it. */
export function tampering({ mode }: FileOwnership): string | undefined {
  if ((mode & OTHERS_WRITE) !== 0) return 'writable by others';
  return (mode & GROUP_WRITE) !== 0 ? 'writable by its group' : undefined;
}

/** As `tampering`, where a group of people may keep a file together. */
export function openTampering({ mode }: FileOwnership): string | undefined {
  return (mode & OTHERS_WRITE) !== 0 ? 'writable by others' : undefined;
}

/** For a file that its owner alone should read: also that its group can. */
export function keyExposure(file: FileOwnership): string | undefined {
  const exposure = secretExposure(file);
  if (exposure !== undefined || (file.mode & GROUP_READ) === 0) return exposure;
  return 'readable by its group';
}

function joined(...parts: readonly (string | undefined)[]): string | undefined {
  const present = parts.filter((part) => part !== undefined);
  return present.length === 0 ? undefined : present.join(' and ');
}
