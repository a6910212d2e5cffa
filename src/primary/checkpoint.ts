/** Checkpoints the log that is followed, after everything that somebody still needs of it has been kept. */
import type { Following } from './following.ts';
import type { HandoverOutcome } from './handover.ts';
import type { LogTail } from './log-tail.ts';
import type { PrimaryParts } from './primary-parts.ts';

/** More than this ahead is not read while the read transaction is moved. */
const AHEAD_BYTES = 1024 * 1024;

export async function checkpointIfDue(following: Following, parts: PrimaryParts): Promise<void> {
  const { tail, checkpoints } = following;
  const { keeper, clock } = parts;
  const published = following.database.published();
  const facts = {
    unconfirmedBytes: keeper.uncapturedBytes(tail),
    isShipping: keeper.isShipping(clock.monotonicMs()),
    stillMs: following.readLock.stillMs,
    published,
  };
  const decision = checkpoints.decide(tail, facts);
  if (decision === 'checkpoint') await checkpointNow(following, parts);
  if (decision === 'advance' && advance(following, parts)) checkpoints.advanced(tail);
}

function advance(following: Following, parts: PrimaryParts): boolean {
  const { tail, readLock, database } = following;
  const capture = (): boolean =>
    tail.isSameLog() && tail.advanceNow(AHEAD_BYTES) && captureAndSave(following, parts);
  return readLock.advance(database.published(), capture);
}

/** Checkpoints as far as others let it, due or not; the observer is told how long that took. */
export async function checkpointNow(following: Following, parts: PrimaryParts): Promise<void> {
  const { tail, checkpoints, database, readLock } = following;
  const { clock, observer, keeper } = parts;
  const startedMs = clock.monotonicMs();
  try {
    const outcome = await checkpoints.run({
      machine: parts.machine,
      clock,
      path: parts.path,
      connections: database.connections,
      tail,
      published: () => database.published(),
      moveReadLock: (capture) => readLock.advance(database.published(), capture),
      onWriteLock: (heldMs) => observer.onWriteLock(heldMs),
      captureMost: async () => keeper.captureMost(database, tail),
      capture: (isLate) => captureAndSave(following, parts, isLate),
    });
    if (outcome !== 'complete') parts.logger.debug('the checkpoint was hindered', { outcome });
    if (outcome !== 'complete' && checkpoints.hasOutgrown(tail)) tellOfGrowth(outcome, tail, parts);
    if (outcome !== 'busy') observer.onCheckpoint(clock.monotonicMs() - startedMs);
  } catch (error) {
    observer.onCheckpoint(clock.monotonicMs() - startedMs, error);
    throw error;
  }
}

const GROWTH: Readonly<Record<Exclude<HandoverOutcome, 'complete'>, { why: string; hint: string }>> = {
  partial: {
    why: 'a read transaction of another connection lasts long',
    hint: 'Find the connection that keeps it open; `rivulet status` tells since when.',
  },
  outrun: {
    why: 'commits never pause, and the disk is too slow to empty it in the moments for which writers may be held up',
    hint: 'It is emptied at the first pause of a second. If there is none, move the database to a faster disk.',
  },
  busy: {
    why: 'what destinations lack of it cannot be kept elsewhere as fast as it grows',
    hint: '`rivulet status` tells which destination is behind; look at the disk of the local state, too.',
  },
};

function tellOfGrowth(
  outcome: Exclude<HandoverOutcome, 'complete'>,
  { position }: LogTail,
  { logger }: PrimaryParts,
): void {
  logger.warn('the write-ahead log has grown to more than twice its limit', {
    walBytes: position.offsetBytes,
    ...GROWTH[outcome],
  });
}

/**
 * Lets applications checkpoint, restart and truncate their WAL while nothing happens: ends the read transaction, or has a lasting one
 * step aside. What nobody has stored yet is kept first.
 */
export function letGo(following: Following, parts: PrimaryParts): void {
  const { tail, readLock, database } = following;
  if (!readLock.isHeld || !readLock.isPausing) return;
  const index = database.published();
  readLock.glance(index);
  if (!tail.hasAllOf(index)) return;
  // What is just being stored is worth waiting for a little: it need not be kept then.
  if (!readLock.isWorthKeeping && parts.keeper.uncapturedBytes(tail) > 0) return;
  const capture = (): boolean => tail.isSameLog() && tail.advanceNow(0) && captureAndSave(following, parts);
  if (readLock.isQuiet && readLock.lastingReason(tail) === undefined) {
    if (capture()) readLock.release();
  } else if (readLock.isInTheWay(index)) {
    readLock.advance(index, capture);
  }
}

/** What is written down here, before the WAL may be restarted, lets the next run prove where it ended. */
function captureAndSave(
  following: Following,
  { keeper, state }: PrimaryParts,
  isLate?: () => boolean,
): boolean {
  const isSafe = keeper.captureNow(following.database, following.tail, isLate);
  state.saveIfPossible(following, { durable: false });
  return isSafe;
}
