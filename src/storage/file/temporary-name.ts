import { randomBytes } from 'node:crypto';

/**
 * An object is written under a name of its own beside its place, then renamed. The name must never look like an
 * object's: Litestream's and Rivulet's patterns end in `.lz4`, so a suffix is enough.
 */
const OWN_TEMPORARY = /\.tmp-[0-9a-f]{16}$/;

/** Litestream v0.3.13 writes `<name>.tmp`, so a listing must pass over those too. */
const FOREIGN_TEMPORARY_SUFFIX = '.tmp';

export function temporaryName(path: string): string {
  return `${path}.tmp-${randomBytes(8).toString('hex')}`;
}

/** The one name for all who want to create `path` where there are no hard links; looks like a temporary file's. */
export function guardName(path: string): string {
  return `${path}.tmp-${'0'.repeat(16)}`;
}

/** A name that `temporaryName` or `guardName` made. */
function isOwnTemporary(name: string): boolean {
  return OWN_TEMPORARY.test(name);
}

/** Whether `key` is of a temporary file for an object that we write. */
export function isLeftOver(key: string, isOurs: (key: string) => boolean): boolean {
  return isOwnTemporary(key) && isOurs(key.replace(OWN_TEMPORARY, ''));
}

/** A name that is no object's. */
export function isTemporary(name: string): boolean {
  return isOwnTemporary(name) || name.endsWith(FOREIGN_TEMPORARY_SUFFIX);
}
