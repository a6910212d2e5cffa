/**
 * A file's modification time in whole milliseconds, cut off: a listing shows the second in which the object was
 * stored, also at its very end. `Stats.mtime` rounds to the nearest.
 */
export function modifiedAt({ mtimeMs }: { readonly mtimeMs: number }): Date {
  return new Date(Math.floor(mtimeMs));
}
