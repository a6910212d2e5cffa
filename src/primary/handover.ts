/**
 * Checkpoints the log without losing a frame, and without holding writers up for more than moments.
 *
 * 1. The read transaction is moved forward, beginning the new before ending the old, and a PASSIVE checkpoint does
 *    nearly all the work without any lock on writers.
 * 2. Under the write lock the last frames are captured, and a second PASSIVE checkpoint finishes the log. The read
 *    transaction that begins then finds the log wholly checkpointed: writers may restart it, but nobody can
 *    checkpoint anything newer until this process has moved on. So nothing can be overwritten unread.
 */
import type { CheckpointResult, Connections } from './connections.ts';
import type { LogTail } from './log-tail.ts';
import type { Machine } from './machine.ts';

/** More than this ahead is not read under the write lock: writers would wait for it. */
const AHEAD_BYTES = 1024 * 1024;
/** From this size on the checkpoint without a lock comes first; from the second on, on a thread of its own. */
const UNLOCKED_FIRST_BYTES = 1024 * 1024;
const BACKGROUND_BYTES = 8 * 1024 * 1024;
/** Far above any limit, as one huge transaction makes it: writing all of it under the lock would hold writers up for seconds. */
const HUGE_BYTES = 256 * 1024 * 1024;
/** Attempts at the locked part; before each one the rest of the log is captured without a lock. */
const LOCK_ATTEMPTS = 4;
/**
 * An application's own automatic checkpoint makes ours busy for a moment. It runs inside that application's commit,
 * so waiting for it takes nothing from the writer; this bounds what others might wait.
 */
const BUSY_WAIT_MS = 25;
/** The same for a log that has reached its limit: writers that outrun everything have to wait. */
const URGENT_BUSY_WAIT_MS = 1_000;
const URGENT_LOCK_WAIT_MS = 250;
const BUSY_STEP_MS = 0.5;

export type HandoverOutcome =
  /** All of the log is in the database file; the next writer may restart it. */
  | 'complete'
  /** Some of it is; a reader or another checkpoint stood in the way. */
  | 'partial'
  /** The write lock was not to be had, or writers are too far ahead; nothing happened. */
  | 'busy';

export interface HandoverParts {
  readonly machine: Pick<Machine, 'checkpointInBackground' | 'standStill' | 'monotonicMs'>;
  readonly connections: Connections;
  readonly tail: LogTail;
  readonly path: string;
  /** Moves the tail near the end and makes all before it safe (confirmed or spooled), without a lock. */
  readonly captureMost: () => Promise<boolean>;
  /** Makes everything up to the tail safe, now. Answers false when it cannot. */
  readonly capture: () => boolean;
  /** End of the last complete checkpoint of this log. */
  readonly checkpointedBytes: number;
  /** The log has reached its limit: all is done under the write lock, unless it is so much that writers would wait for long. */
  readonly isUrgent: boolean;
}

export async function handOver(parts: HandoverParts): Promise<HandoverOutcome> {
  const isNear = await parts.captureMost();
  if (parts.isUrgent) {
    if (pendingBytes(parts) > HUGE_BYTES) await checkpointUnlocked(parts);
    return attemptLocked(parts, async () => true);
  }
  if (!isNear || !(await checkpointUnlocked(parts))) return 'busy';
  return attemptLocked(parts, parts.captureMost);
}

function pendingBytes({ tail, checkpointedBytes }: HandoverParts): number {
  return tail.position.offsetBytes - checkpointedBytes;
}

async function attemptLocked(
  parts: HandoverParts,
  between: () => Promise<boolean>,
): Promise<HandoverOutcome> {
  const waitMs = parts.isUrgent ? URGENT_LOCK_WAIT_MS : undefined;
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    const outcome = parts.connections.withWriteLock(() => finish(parts), waitMs) ?? 'busy';
    if (outcome !== 'busy') return outcome;
    if (!(await between())) return 'busy';
  }
  return 'busy';
}

/** The bulk of the work. Answers false when the read transaction could not be moved forward. */
async function checkpointUnlocked(parts: HandoverParts): Promise<boolean> {
  const bytes = pendingBytes(parts);
  if (bytes <= UNLOCKED_FIRST_BYTES) return true;
  if (!parts.connections.moveHold(() => captureTail(parts, AHEAD_BYTES))) return false;
  if (bytes > BACKGROUND_BYTES) await parts.machine.checkpointInBackground(parts.path);
  else checkpointAttempts(parts, BUSY_WAIT_MS);
  return parts.captureMost();
}

/** Reads to the end and captures. False when the log is no longer this one, or its end is too far ahead. */
function captureTail({ tail, capture }: HandoverParts, aheadBytes: number): boolean {
  return tail.isSameLog() && tail.advanceNow(aheadBytes) && capture();
}

function finish(parts: HandoverParts): HandoverOutcome {
  const { isUrgent } = parts;
  if (!captureTail(parts, isUrgent ? Number.POSITIVE_INFINITY : AHEAD_BYTES)) return 'busy';
  let result: CheckpointResult | undefined;
  parts.connections.rehold(() => {
    result = checkpointAttempts(parts, isUrgent ? URGENT_BUSY_WAIT_MS : BUSY_WAIT_MS);
  });
  return result !== undefined && isComplete(result) ? 'complete' : 'partial';
}

function checkpointAttempts({ connections, machine }: HandoverParts, waitMs: number): CheckpointResult {
  const giveUpMs = machine.monotonicMs() + waitMs;
  let result = connections.checkpointPassive();
  while (result.busy && machine.monotonicMs() < giveUpMs) {
    machine.standStill(BUSY_STEP_MS);
    result = connections.checkpointPassive();
  }
  return result;
}

function isComplete(result: CheckpointResult): boolean {
  return !result.busy && result.logFrames === result.checkpointedFrames;
}
