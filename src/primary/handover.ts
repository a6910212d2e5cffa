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

/** More than this ahead is not read under the write lock: writers would wait for it. */
const TAIL_UNDER_LOCK_BYTES = 1024 * 1024;
/** A log longer than this gets the unlocked checkpoint first. */
const UNLOCKED_FIRST_BYTES = 1024 * 1024;
/** Another process's own checkpoint makes ours busy for a moment; so often it is tried again at once. */
const BUSY_ATTEMPTS = 3;

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
  /** Makes everything up to the tail safe (confirmed or spooled). Answers false when it cannot. */
  readonly capture: () => boolean;
  /** End of the last complete checkpoint of this log. */
  readonly checkpointedBytes: number;
}

export function handOver(parts: HandoverParts): HandoverOutcome {
  if (parts.tail.position.offsetBytes - parts.checkpointedBytes > UNLOCKED_FIRST_BYTES) {
    const moved = parts.connections.moveHold(() => captureTail(parts));
    if (!moved) return 'busy';
    checkpointAttempts(parts.connections);
  }
  return parts.connections.withWriteLock(() => finish(parts)) ?? 'busy';
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
  let result = connections.checkpointPassive();
  for (let attempt = 1; attempt < BUSY_ATTEMPTS && result.busy; attempt++) result = connections.checkpointPassive();
  return result;
}

function isComplete(result: CheckpointResult): boolean {
  return !result.busy && result.logFrames === result.checkpointedFrames;
}
