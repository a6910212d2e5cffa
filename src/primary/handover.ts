/**
 * Checkpoints the WAL without losing a frame, and below the WAL's limit without any lock that a writer can feel.
 *
 * 1. The read transaction is moved to the newest commit, the new one beginning before the old one ends, and a PASSIVE checkpoint
 *    takes everything up to there into the database file.
 * 2. The transaction is moved again. Where no commit came between, all of the WAL is in the file: a transaction that begins then
 *    reads from the file alone. Writers may restart the WAL, but nobody can checkpoint anything newer over the file until this
 *    process has moved on. So nothing can be overwritten unread. Where a commit came, nothing is lost: there will be another try.
 * 3. A writer that never pauses lets no try succeed. At the limit the write lock is taken, and the second step is done under it, with
 *    the last frames alone. The lock is released after a fixed time, whatever the disk does: a disk too slow for that lets the WAL grow.
 */
import type { Clock } from '../base/clock.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import type { Connections } from './connections.ts';
import type { LogTail } from './log-tail.ts';
import type { Machine } from './machine.ts';

/** More than this ahead is not read between two steps. */
const AHEAD_BYTES = 1024 * 1024;
/** From this size on a checkpoint runs on a thread of its own, so that other databases go on. */
const BACKGROUND_BYTES = 8 * 1024 * 1024;
/** Rounds of the first step; each leaves less for the next one, or the writers are faster. */
const ROUNDS = 6;
/** So little is left to do that another round would not leave less. */
const LITTLE_BYTES = 512 * 1024;
/** Attempts at the write lock; before each one the rest of the WAL is read without it. */
const LOCK_ATTEMPTS = 4;
/** Another checkpoint, such as an application's automatic one, does the same work up to the same place: it is waited for. */
const OTHERS_WAIT_MS = 1_000;
const OTHERS_STEP_MS = 5;
/** Under the write lock the same, but everybody stands still meanwhile. */
const BUSY_WAIT_MS = 25;
const LOCK_WAIT_MS = 250;
const BUSY_STEP_MS = 0.5;
/** So long the write lock is held at most, but for the moment that it takes to release it; applications wait a second, mostly. */
const LOCK_HELD_MS_MAX = 150;
/** What may go of it into reading and keeping the last frames. */
const LOCKED_READ_MS_MAX = 60;
/** A disk that took so long for little does not do the last frames under the lock either. */
const SLOW_MS = 150;

export type HandoverOutcome =
  /** All of the WAL is in the database file; the next writer may restart it. */
  | 'complete'
  /** Some of it is; a reader or another checkpoint stood in the way. */
  | 'partial'
  /** Everything up to a commit is in the file, and another commit came each time. */
  | 'outrun'
  /** What destinations lack could not be kept, or writers are too far ahead; nothing happened. */
  | 'busy';

export interface HandoverParts {
  readonly machine: Pick<
    Machine,
    'checkpointInBackground' | 'isCheckpointerFree' | 'checkpointWithin' | 'standStill' | 'monotonicMs'
  >;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly connections: Connections;
  readonly tail: LogTail;
  readonly path: string;
  /** The WAL index as it is now. */
  readonly published: () => WalIndex;
  /** Moves the tail near the end and makes all before it safe (confirmed or spooled), without a lock. */
  readonly captureMost: () => Promise<boolean>;
  /** Makes everything up to the tail safe, now. Returns false when it cannot, or not before `isLate` says so. */
  readonly capture: (isLate?: () => boolean) => boolean;
  /** Moves the read transaction to the newest commit, when everything before it could be captured. */
  readonly moveReadLock: (capture: () => boolean) => boolean;
  /**
   * The most that may be read while writers wait for the write lock, which is taken when the WAL has reached its limit;
   * undefined below it.
   */
  readonly lockedBytesMax: number | undefined;
  /** Writers have waited for so long. */
  readonly onWriteLock: (heldMs: number) => void;
}

export async function handOver(parts: HandoverParts): Promise<HandoverOutcome> {
  let hasMoved = false;
  let lastBytes = Number.POSITIVE_INFINITY;
  let last: Backfill = { doneBytes: 0, leftBytes: 0, isBusy: false, tookMs: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const isNear = await parts.captureMost();
    if (!isNear && parts.lockedBytesMax === undefined) break;
    // The read transaction begins behind this, or further on: so much of the WAL can be moved.
    const { frames } = parts.published();
    if (!move(parts, AHEAD_BYTES)) break;
    hasMoved = true;
    last = await backfill(parts, parts.tail.bytesOf(frames));
    const { doneBytes, leftBytes, isBusy } = last;
    if (move(parts, AHEAD_BYTES) && isComplete(parts)) return 'complete';
    // A reader is in the way, and the write lock would be of no use.
    if (leftBytes > 0 && !isBusy) return 'partial';
    if (doneBytes < LITTLE_BYTES || doneBytes > lastBytes / 2) break;
    lastBytes = doneBytes;
  }
  const { lockedBytesMax } = parts;
  if (lockedBytesMax !== undefined && !isSlow(parts, last)) return attemptLocked(parts, lockedBytesMax);
  return hasMoved ? 'outrun' : 'busy';
}

/** Whether what is left would take too long under the write lock, as far as the last round tells. */
function isSlow(parts: HandoverParts, { doneBytes, isBusy, tookMs }: Backfill): boolean {
  if (isBusy) return false;
  const { tail, published } = parts;
  const index = published();
  const pendingBytes = tail.bytesOf(index.frames) - backfilledBytes(tail, index);
  const share = doneBytes <= LITTLE_BYTES ? 1 : pendingBytes / doneBytes;
  return tookMs * share >= SLOW_MS;
}

/** Reads to the end and captures, and moves the read transaction there. */
function move(parts: HandoverParts, aheadBytes: number, isLate?: () => boolean): boolean {
  return parts.moveReadLock(() => captureTail(parts, aheadBytes, isLate));
}

/** False when the WAL is no longer this one, or its end is too far ahead. */
function captureTail({ tail, capture }: HandoverParts, aheadBytes: number, isLate?: () => boolean): boolean {
  return tail.isSameLog() && tail.advanceNow(aheadBytes, isLate) && capture(isLate);
}

/** What went into the database file of the bytes before the read transaction, and what did not. */
interface Backfill {
  readonly doneBytes: number;
  readonly leftBytes: number;
  /** Another checkpoint ran all the time. */
  readonly isBusy: boolean;
  readonly tookMs: number;
}

async function backfill(parts: HandoverParts, markedBytes: number): Promise<Backfill> {
  const { tail, machine, clock, connections, path, published } = parts;
  const pendingBytes = (): number => Math.max(0, markedBytes - backfilledBytes(tail, published()));
  const beforeBytes = pendingBytes();
  const beganMs = machine.monotonicMs();
  for (;;) {
    const isBusy =
      pendingBytes() > BACKGROUND_BYTES
        ? await machine.checkpointInBackground(path)
        : connections.checkpointPassive().busy;
    const leftBytes = pendingBytes();
    const tookMs = machine.monotonicMs() - beganMs;
    const isOver = leftBytes === 0 || !isBusy || tookMs >= OTHERS_WAIT_MS;
    if (isOver) return { doneBytes: beforeBytes - leftBytes, leftBytes, isBusy, tookMs };
    await clock.sleep(OTHERS_STEP_MS);
  }
}

/** Another WAL means that all of this one is in the file. */
function backfilledBytes(tail: LogTail, index: WalIndex): number {
  return tail.isLogOf(index) ? tail.bytesOf(index.backfilledFrames) : Number.POSITIVE_INFINITY;
}

function isComplete({ tail, published }: HandoverParts): boolean {
  const index = published();
  return tail.isLogOf(index) && index.backfilledFrames === index.frames && tail.hasAllOf(index);
}

async function attemptLocked(parts: HandoverParts, bytesMax: number): Promise<HandoverOutcome> {
  const { connections, machine, captureMost, onWriteLock } = parts;
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    // Asked last: from here on until the lock is released nothing else of this process runs.
    if (!(await machine.isCheckpointerFree())) return 'outrun';
    let sinceMs = 0;
    const locked = (): HandoverOutcome => {
      sinceMs = machine.monotonicMs();
      return finish(parts, bytesMax, sinceMs);
    };
    const outcome = connections.withWriteLock(locked, LOCK_WAIT_MS);
    if (outcome !== undefined) onWriteLock(machine.monotonicMs() - sinceMs);
    if (outcome !== undefined && outcome !== 'busy') return outcome;
    await captureMost();
  }
  return 'busy';
}

/** Under the write lock: nobody commits meanwhile, so what is moved to the end stays there. */
function finish(parts: HandoverParts, bytesMax: number, sinceMs: number): HandoverOutcome {
  const { machine } = parts;
  const isLate = (): boolean => machine.monotonicMs() - sinceMs >= LOCKED_READ_MS_MAX;
  if (!move(parts, bytesMax, isLate)) return 'busy';
  if (!checkpointUntil(parts, sinceMs + LOCK_HELD_MS_MAX)) return 'outrun';
  return move(parts, bytesMax) && isComplete(parts) ? 'complete' : 'partial';
}

/** @returns false when it has not ended by then; it goes on without the lock */
function checkpointUntil({ machine, path }: HandoverParts, endMs: number): boolean {
  const giveUpMs = machine.monotonicMs() + BUSY_WAIT_MS;
  for (;;) {
    const outcome = machine.checkpointWithin(path, endMs - machine.monotonicMs());
    if (outcome === 'late') return false;
    if (outcome === 'done' || machine.monotonicMs() >= giveUpMs) return true;
    machine.standStill(BUSY_STEP_MS);
  }
}
