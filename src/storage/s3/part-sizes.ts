import { PART_BYTES_MAX } from './options.ts';

/** The part of an upload's parts that have the first size. */
const CONSTANT_SHARE = 1 / 2;
/** How many times the size doubles over the rest. */
const DOUBLINGS = 10;

/**
 * How large each part of an upload is whose size nobody knows in advance. The first half of the parts that the service
 * takes have the size that was asked for (39 GiB of 8 MiB each); then the size doubles step by step, so that the last
 * ones reach beyond the largest object that there can be. Memory grows with them, and only then.
 *
 * @param index - from 0
 */
export function partSizeAt(index: number, firstBytes: number, maxParts: number, equalParts: boolean): number {
  const constant = Math.floor(maxParts * CONSTANT_SHARE);
  if (equalParts || index < constant) return firstBytes;
  const step = Math.max(1, Math.floor((maxParts - constant) / DOUBLINGS));
  const doublings = Math.min(DOUBLINGS, 1 + Math.floor((index - constant) / step));
  return Math.min(PART_BYTES_MAX, firstBytes * 2 ** doublings);
}
