/** Whether the chain that was applied is as long as the replica says it must be. */
import { isRivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { decodeFrameStream } from '../codec/decode-frame-stream.ts';
import { type Annotation, findAnnotation } from '../generations/annotation.ts';
import { isEndContent, PROMISE_BYTES_MAX } from '../generations/ends.ts';
import type { EndEntry, SegmentEntry } from '../generations/inventory.ts';
import {
  type Position,
  comparePositions,
  formatIndex,
  formatPosition,
  segmentKey,
} from '../generations/names.ts';
import type { RestorePlan } from '../generations/plan-outcome.ts';
import type { CallOptions, ObjectStore } from '../storage/object-store.ts';
import { ChainFault, SnapshotAhead, SnapshotFault } from './faults.ts';
import { checkLogEnd, checkPlace } from './links.ts';
import { BEGINNING_BYTES_MAX, type LoadedSnapshot } from './load-snapshot.ts';

/** What an object that cannot be read as it should makes of a check: nothing, rather than a failed restore. */
const UNREADABLE = [
  'LZ4_INVALID',
  'REPLICA_INVALID',
  'STORAGE_NOT_FOUND',
  'AGE_INVALID',
  'AGE_KEY_MISSING',
  'AGE_KEY_WRONG',
] as const;

async function orUnreadable<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isRivuletError(error, ...UNREADABLE)) return undefined;
    throw error;
  }
}

/** The segment that the replica lacks when the chain ends at `reached` too early. */
function endsTooEarly(
  plan: RestorePlan,
  reached: Position,
  claimantKey: string,
  wanted: Position,
): ChainFault {
  const missing = segmentKey(plan.generation, reached);
  return new ChainFault(
    missing,
    reached,
    `${missing} is missing: the chain ends at ${formatPosition(reached)}, ` +
      `but ${claimantKey} says that it reached ${formatPosition(wanted)}`,
    { claimantKey },
  );
}

/** Checks that the chain passes the snapshot's own position; without segments the snapshot is exact by itself. */
function checkSnapshotReached(plan: RestorePlan, snapshot: LoadedSnapshot, reached: Position): void {
  if (snapshot.annotation === undefined || plan.segments.length === 0) return;
  const stands = { index: snapshot.entry.index, offsetBytes: snapshot.annotation.offsetBytes };
  if (comparePositions(reached, stands) >= 0) return;
  if (plan.until !== undefined && comparePositions(plan.until, stands) < 0) {
    const problem = `${plan.snapshot.key} stands at ${formatPosition(stands)}, behind what was asked for`;
    throw new SnapshotFault(plan.snapshot.key, problem);
  }
  if (plan.cutByTime) throw new SnapshotAhead('the snapshot stands further than the segments');
  throw endsTooEarly(plan, reached, plan.snapshot.key, stands);
}

/** Checks that the chain reaches the position that was asked for. */
function checkUntil(plan: RestorePlan, snapshot: LoadedSnapshot, reached: Position): void {
  const { until, generation } = plan;
  if (until === undefined || comparePositions(reachedOf(snapshot, plan, reached), until) >= 0) return;
  const missing = segmentKey(generation, reached);
  const problem = `${missing} is missing: the chain ends at ${formatPosition(reached)}, asked for was ${formatPosition(until)}`;
  throw new ChainFault(missing, reached, problem);
}

/** Checks the promise; one whose content is not its own name is a copy or damaged, and promises nothing. */
async function checkPromise(
  plan: RestorePlan,
  promise: EndEntry,
  reached: Position,
  from: { readonly store: ObjectStore; readonly logger: Logger } & CallOptions,
): Promise<void> {
  if (comparePositions(reached, promise) >= 0) return;
  const sizeHintBytes = Math.min(promise.sizeBytes, PROMISE_BYTES_MAX);
  const content = await orUnreadable(
    from.store.readBytes(promise.key, { signal: from.signal, sizeHintBytes }),
  );
  if (content === undefined || !isEndContent(content, promise)) {
    from.logger.warn('an end promise is ignored: it does not hold its own name', { key: promise.key });
    return;
  }
  throw endsTooEarly(plan, reached, promise.key, promise);
}

async function readAnnotation(
  store: ObjectStore,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Annotation | undefined> {
  const payloads: Uint8Array[] = [];
  const source = store.read(key, { signal, lengthBytes: BEGINNING_BYTES_MAX });
  // The annotation comes before any content, so the first chunk is enough.
  for await (const _ of decodeFrameStream(source, { onAnnotation: (payload) => payloads.push(payload) }))
    break;
  return findAnnotation(payloads, key);
}

/** Checks the end against the segment that follows it; the reason when that one says nothing. */
async function checkWitness(
  plan: RestorePlan,
  witness: SegmentEntry,
  reached: Position,
  from: { readonly store: ObjectStore } & CallOptions,
): Promise<string | undefined> {
  if (witness.index === reached.index) {
    checkPlace(plan.generation, witness, reached);
    return undefined;
  }
  const annotation = await orUnreadable(readAnnotation(from.store, witness.key, from.signal));
  const isOwn =
    annotation?.kind === 'segment' &&
    annotation.generation === plan.generation &&
    annotation.index === witness.index;
  if (!isOwn || annotation.previousEndBytes === undefined) {
    return `nothing in the replica tells where index ${formatIndex(reached.index)} ended`;
  }
  checkLogEnd(plan.generation, witness, annotation.previousEndBytes, reached);
  return undefined;
}

/**
 * Checks the end of the chain against everything in the replica that tells how far it went.
 *
 * @returns why parts of it are not proven
 * @throws ChainFault when it is too short; SnapshotAhead when only the snapshot can stand for the moment asked for
 */
export async function verifyChain(
  plan: RestorePlan,
  snapshot: LoadedSnapshot,
  reached: Position,
  from: { readonly store: ObjectStore; readonly logger: Logger } & CallOptions,
): Promise<string[]> {
  checkSnapshotReached(plan, snapshot, reached);
  checkUntil(plan, snapshot, reached);
  if (plan.promise !== undefined)
    await checkPromise(plan, plan.promise, reachedOf(snapshot, plan, reached), from);
  const isBare = plan.segments.length === 0;
  if (isBare && snapshot.annotation === undefined) {
    return [`${plan.snapshot.key} does not say which position it belongs to`];
  }
  if (isBare || plan.witness === undefined) return [];
  const reason = await checkWitness(plan, plan.witness, reached, from);
  return reason === undefined ? [] : [reason];
}

/** A bare snapshot that says where it stands has reached that place. */
function reachedOf(snapshot: LoadedSnapshot, plan: RestorePlan, reached: Position): Position {
  if (plan.segments.length > 0 || snapshot.annotation === undefined) return reached;
  return { index: snapshot.entry.index, offsetBytes: snapshot.annotation.offsetBytes };
}
