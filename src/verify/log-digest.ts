/**
 * What was proven once is known again by its listing: for each log a count and a hash over offset, size and time of its
 * segments, in order. It is a few bytes for each log, whatever the number of its segments, and whole logs
 * can be forgotten when retention removes them. It finds what changed by accident; it is no seal against a forger.
 */
import type { SegmentEntry } from '../generations/inventory.ts';

export interface LogDigest {
  readonly index: number;
  readonly count: number;
  readonly hash: number;
}

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const TWO_32 = 2 ** 32;

function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ ((value % TWO_32) | 0), PRIME_1);
  mixed = Math.imul(mixed ^ Math.floor(value / TWO_32), PRIME_2);
  return (mixed ^ (mixed >>> 15)) | 0;
}

/** The digest with one segment more. */
export function extendDigest(digest: LogDigest, segment: SegmentEntry): LogDigest {
  const { offsetBytes, sizeBytes, createdAt } = segment;
  const hash = mix(mix(mix(digest.hash, offsetBytes), sizeBytes), Math.floor(createdAt));
  return { index: digest.index, count: digest.count + 1, hash };
}

export function emptyDigest(index: number): LogDigest {
  return { index, count: 0, hash: 0 };
}

/** `digests` with what `segments`, which come behind them, add. Both are in order. */
export function extendDigests(
  digests: readonly LogDigest[],
  segments: readonly SegmentEntry[],
): readonly LogDigest[] {
  const extended = [...digests];
  for (const segment of segments) {
    const last = extended.at(-1);
    if (last?.index === segment.index) extended[extended.length - 1] = extendDigest(last, segment);
    else extended.push(extendDigest(emptyDigest(segment.index), segment));
  }
  return extended;
}

/**
 * The first log that is not as it was: a segment is gone, another one, or has come between. More segments behind the last
 * known one of the last log are no change.
 *
 * @param fromIndex - logs before it are of no interest any more
 * @returns its index; undefined when all are as they were
 */
export function firstChangedLog(
  digests: readonly LogDigest[],
  segments: readonly SegmentEntry[],
  fromIndex: number,
): number | undefined {
  const known = digests.filter(({ index }) => index >= fromIndex);
  const last = known.at(-1);
  let at = 0;
  for (const digest of known) {
    // Logs between that nobody knows are none of this.
    while ((segments[at]?.index ?? Number.POSITIVE_INFINITY) < digest.index) at += 1;
    let now = emptyDigest(digest.index);
    for (; now.count < digest.count && segments[at]?.index === digest.index; at += 1) {
      now = extendDigest(now, segments[at] as SegmentEntry);
    }
    if (now.count !== digest.count || now.hash !== digest.hash) return digest.index;
    // A log that another one follows is finished.
    if (digest !== last && segments[at]?.index === digest.index) return digest.index;
  }
  return undefined;
}
