/**
 * Checkpoints the log without losing a frame, and without holding writers up for more than moments.
 *
 * 1. The read transaction is moved forward, beginning the new before ending the old, and a PASSIVE checkpoint does
 *    nearly all the work without any lock on writers.
 * 2. Under the write lock the last frames are captured, and a second PASSIVE checkpoint finishes the log. The read
 *    transaction that begins then finds the log wholly checkpointed: writers may restart it, but nobody can
 *    checkpoint anything newer until this process has moved on. So nothing can be overwritten unread.
 */
import { checkpointInBackground } from './background-checkpoint.ts';
import type { CheckpointResult, Connections } from './connections.ts';
import type { LogTail } from './log-tail.ts';

/** More than this ahead is not read under the write lock: writers would wait for it. */
const TAIL_UNDER_LOCK_BYTES = 1024 * 1024;
/** From this size on the checkpoint without a lock comes first; from the second on, on a thread of its own. */
const UNLOCKED_FIRST_BYTES = 1024 * 1024;
const BACKGROUND_BYTES = 8 * 1024 * 1024;
/** Attempts at the locked part; before each one the rest of the log is captured without a lock. */
const LOCK_ATTEMPTS = 4;
/**
 * An application's own automatic checkpoint makes ours busy for a moment. It runs inside that application's commit,
 * so waiting for it takes nothing from the writer; this bounds what others might wait.
 */
const BUSY_WAIT_MS = 25;
const BUSY_STEP_MS = 0.5;

export type HandoverOutcome =
  /** All of the log is in the database file; the next writer may restart it. */
  | 'complete'
  /** Some of it is; a reader or another checkpoint stood in the way. */
  | 'partial'
  /** The write lock was not to be had, or writers are too far ahead; nothing happened. */
  | 'busy';

export interface HandoverParts {
  readonly connections: Connections;
  readonly tail: LogTail;
  readonly path: string;
  /** Moves the tail near the end and makes all before it safe (confirmed or spooled), without a lock. */
  readonly captureMost: () => Promise<boolean>;
  /** Makes everything up to the tail safe, now. Answers false when it cannot. */
  readonly capture: () => boolean;
  /** End of the last complete checkpoint of this log. */
  readonly checkpointedBytes: number;
}

export async function handOver(parts: HandoverParts): Promise<HandoverOutcome> {
  if (!(await parts.captureMost())) return 'busy';
  if (!(await checkpointUnlocked(parts))) return 'busy';
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    const outcome = parts.connections.withWriteLock(() => finish(parts)) ?? 'busy';
    if (outcome !== 'busy') return outcome;
    if (!(await parts.captureMost())) return 'busy';
  }
  return 'busy';
}

/** The bulk of the work. Answers false when the read transaction could not be moved forward. */
async function checkpointUnlocked(parts: HandoverParts): Promise<boolean> {
  const pendingBytes = parts.tail.position.offsetBytes - parts.checkpointedBytes;
  if (pendingBytes <= UNLOCKED_FIRST_BYTES) return true;
  if (!parts.connections.moveHold(() => captureTail(parts))) return false;
  if (pendingBytes > BACKGROUND_BYTES) await checkpointInBackground(parts.path);
  else checkpointAttempts(parts.connections);
  return parts.captureMost();
}

/** Reads to the end and captures. False when the log is no longer this one, or its end is too far ahead. */
function captureTail({ tail, capture }: HandoverParts): boolean {
  return tail.isSameLog() && tail.advanceNow(TAIL_UNDER_LOCK_BYTES) && capture();
}

function finish(parts: HandoverParts): HandoverOutcome {
  if (!captureTail(parts)) return 'busy';
  let result: CheckpointResult | undefined;
  parts.connections.rehold(() => {
    result = checkpointAttempts(parts.connections);
  });
  return result !== undefined && isComplete(result) ? 'complete' : 'partial';
}

function checkpointAttempts(connections: Connections): CheckpointResult {
  const giveUpMs = performance.now() + BUSY_WAIT_MS;
  let result = connections.checkpointPassive();
  while (result.busy && performance.now() < giveUpMs) {
    sleepNow(BUSY_STEP_MS);
    result = connections.checkpointPassive();
  }
  return result;
}

const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/** Stands still: under the write lock nothing else of this process may come in between. */
function sleepNow(ms: number): void {
  Atomics.wait(sleepCell, 0, 0, ms);
}

function isComplete(result: CheckpointResult): boolean {
  return !result.busy && result.logFrames === result.checkpointedFrames;
}
