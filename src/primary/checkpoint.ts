/** Checkpoints the log that is followed, after everything that somebody still needs of it has been kept. */
import type { Following } from './following.ts';
import type { PrimaryParts } from './primary-parts.ts';

export async function checkpointIfDue(following: Following, parts: PrimaryParts): Promise<void> {
  const { tail, checkpoints } = following;
  const { keeper, clock } = parts;
  const facts = {
    unconfirmedBytes: keeper.uncapturedBytes(tail),
    isShipping: keeper.isShipping(clock.monotonicMs()),
  };
  if (checkpoints.isDue(tail, facts)) await checkpointNow(following, parts);
}

/** Checkpoints as far as others let it, due or not; the observer is told how long that took. */
export async function checkpointNow(following: Following, parts: PrimaryParts): Promise<void> {
  const { tail, checkpoints, database } = following;
  const { clock, observer, keeper } = parts;
  const startedMs = clock.monotonicMs();
  try {
    const outcome = await checkpoints.run({
      machine: parts.machine,
      path: parts.path,
      connections: database.connections,
      tail,
      captureMost: async () => keeper.captureMost(database, tail),
      capture: () => captureAndSave(following, parts),
    });
    if (outcome !== 'complete') parts.logger.debug('the checkpoint was hindered', { outcome });
    if (outcome !== 'busy') observer.onCheckpoint(clock.monotonicMs() - startedMs);
  } catch (error) {
    observer.onCheckpoint(clock.monotonicMs() - startedMs, error);
    throw error;
  }
}

/** What is written down here, under the write lock, lets the next run prove where this log ended. */
function captureAndSave(following: Following, { keeper, state }: PrimaryParts): boolean {
  const isSafe = keeper.captureNow(following.database, following.tail);
  state.saveIfPossible(following, { durable: false });
  return isSafe;
}
