/**
 * Paths inside buckets and on servers, cleaned as v0.3.13 cleans them: it joins each object's name to the path, which takes
 * away `.`, `..` and doubled slashes. Decided here for writing, listing, messages and the command for a restore alike.
 */
import { posix } from 'node:path';
import type { ReplicaType } from './key-spec.ts';

/** As Go's `path.Clean`; `.` for nothing. */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path).replace(/^\/{2,}/, '/');
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}

/**
 * The path inside a bucket, empty for its root. What S3 is asked for never begins with a slash; at Azure and Google it is part of
 * the names of objects, as v0.3.13 has it there.
 *
 * @returns undefined for one that leads out of the bucket
 */
export function cleanBucketPath(type: ReplicaType, path: string): string | undefined {
  const clean = cleanPath(path);
  if (clean === '..' || clean.startsWith('../')) return undefined;
  if (clean === '.') return '';
  return type === 's3' ? clean.replace(/^\//, '') : clean;
}
