/**
 * Throws a `RangeError` unless `key` is a clean relative path: parts between `/`, none of them empty, `.` or `..`.
 * Keys are made by Rivulet from names it has checked, so anything else is a bug, and one that could leave the root.
 */
export function assertObjectKey(key: string): void {
  const isClean = key.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (!isClean || key.includes('\0')) throw new RangeError(`not an object key: ${JSON.stringify(key)}`);
}

/** Throws a `RangeError` unless `prefix` is empty or a clean folder path that ends in `/`. */
export function assertFolderPrefix(prefix: string): void {
  if (prefix === '') return;
  if (!prefix.endsWith('/')) throw new RangeError(`not a folder prefix: ${JSON.stringify(prefix)}`);
  assertObjectKey(prefix.slice(0, -1));
}

/** What stands before each key below `path`, whose last slash may be written or not; empty for the root. */
export function prefixOfPath(path: string): string {
  return path === '' ? '' : path.replace(/\/*$/, '/');
}
