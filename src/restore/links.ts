/**
 * How the objects of a chain hold together. Each check either passes, or throws where the chain breaks; a link that
 * nothing in the replica can prove gives the reason, in words for people.
 */
import type { Annotation, SegmentAnnotation, SnapshotAnnotation } from '../generations/annotation.ts';
import type { SegmentEntry } from '../generations/inventory.ts';
import {
  type Generation,
  type Position,
  formatIndex,
  formatPosition,
  segmentKey,
} from '../generations/names.ts';
import { type Checksum, checksumsEqual } from '../wal/checksum.ts';
import { type WalHeader, isNextLog } from '../wal/wal-header.ts';
import { ChainFault } from './faults.ts';

/** The log before the one that begins: where it ended, and its header. */
export interface PreviousLog {
  readonly end: Position;
  readonly header: WalHeader;
  /** Of its last frame. */
  readonly checksum: Checksum;
}

/**
 * Checks that `segment` begins where the chain of its index stands, or before: Litestream v0.3.13 at times stores the
 * same frames twice, under two names. The frames tell whether it is that.
 *
 * @returns how many bytes of the segment the chain holds already
 */
export function checkPlace(generation: Generation, segment: SegmentEntry, reached: Position): number {
  const gap = segment.offsetBytes - reached.offsetBytes;
  if (gap <= 0 && segment.offsetBytes > 0) return -gap;
  if (gap === 0) return 0;
  if (gap < 0) throw notThere(segment, reached);
  const missing = segmentKey(generation, reached);
  const problem =
    `${missing} is missing or the object before it is short: the chain ends at ${formatPosition(reached)}, ` +
    `and ${segment.key} leaves a gap of ${gap} bytes`;
  throw new ChainFault(missing, reached, problem, { claimantKey: segment.key });
}

export function notThere(segment: SegmentEntry, reached: Position): ChainFault {
  const problem = `the chain before it reaches to ${formatPosition(reached)} already`;
  return new ChainFault(segment.key, segment, `${segment.key} does not belong there: ${problem}`);
}

/** Checks that an annotated segment lies under its own name; gives its annotation. */
export function checkSegmentAnnotation(
  generation: Generation,
  segment: SegmentEntry,
  annotation: Annotation | undefined,
): SegmentAnnotation | undefined {
  if (annotation === undefined) return undefined;
  const { kind, generation: own, index } = annotation;
  if (kind === 'segment' && own === generation && index === segment.index && segment.offsetBytes === 0) {
    return annotation;
  }
  throw new ChainFault(
    segment.key,
    segment,
    `${segment.key} does not belong there: it is the first ${kind} object of generation ${own}, index ${formatIndex(index)}`,
  );
}

/** Checks a log's header against the snapshot that it is applied to. */
export function checkFirstLog(
  segment: SegmentEntry,
  header: WalHeader,
  snapshot: { readonly key: string; readonly annotation: SnapshotAnnotation | undefined },
): string | undefined {
  const { key, annotation } = snapshot;
  if (annotation === undefined) return `${key} does not say which position it belongs to`;
  const { salts } = annotation;
  if (salts === undefined || (salts[0] === header.salt1 && salts[1] === header.salt2)) return undefined;
  throw otherLog(segment, key);
}

/** @param key - of the snapshot */
export function otherLog(segment: SegmentEntry, key: string): ChainFault {
  const problem = `it is another log than the one that ${key} was made with`;
  return new ChainFault(segment.key, segment, `${segment.key} does not belong there: ${problem}`);
}

/** Checks that the log before ended where this one says, or else why nothing proves that it did. */
export function checkNextLog(
  generation: Generation,
  segment: SegmentEntry,
  next: { readonly header: WalHeader; readonly annotation: SegmentAnnotation | undefined },
  previous: PreviousLog,
): string | undefined {
  const endBytes = next.annotation?.previousEndBytes;
  if (endBytes !== undefined) {
    checkLogEnd(generation, segment, endBytes, previous.end);
    checkEndChecksum(segment, next.annotation, previous);
    return undefined;
  }
  const before = formatIndex(previous.end.index);
  if (!isNextLog(previous.header, next.header)) {
    return `the log of index ${formatIndex(segment.index)} does not follow that of index ${before} by its salt`;
  }
  return `nothing in the replica tells where index ${before} ended`;
}

/** An object of the right length may still be of another history, as a request that arrives very late would bring it. */
function checkEndChecksum(
  segment: SegmentEntry,
  annotation: SegmentAnnotation | undefined,
  { end, checksum }: PreviousLog,
): void {
  const claimed = annotation?.previousEndChecksum;
  if (claimed === undefined || checksumsEqual(claimed, checksum)) return;
  const problem = `it follows another log of index ${formatIndex(end.index)} than the one that is there`;
  throw new ChainFault(segment.key, segment, `${segment.key} does not belong there: ${problem}`);
}

/** Checks the end of an index against what the next index's first segment says. */
export function checkLogEnd(
  generation: Generation,
  witness: SegmentEntry,
  endBytes: number,
  reached: Position,
): void {
  if (endBytes === reached.offsetBytes) return;
  const missing = segmentKey(generation, reached);
  const end = formatPosition({ index: reached.index, offsetBytes: endBytes });
  const problem = `the chain ends at ${formatPosition(reached)}, but ${witness.key} says that it went to ${end}`;
  throw new ChainFault(missing, reached, `${missing} is missing or does not match: ${problem}`, {
    claimantKey: witness.key,
  });
}
