/** Removes what killed processes left half-written at a destination: soon after it was opened, and then once a day. */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { isReplicaKey } from '../generations/replica-key.ts';
import type { LeavesTemporaries } from '../storage/temporaries.ts';

const INTERVAL_MS = 24 * 3_600_000;
/** No upload takes that long, and clocks differ by less. */
const STALE_MS = 24 * 3_600_000;
/** A destination that cannot be reached now is asked again before the next day. */
const RETRY_MS = 3_600_000;

export interface SweepParts {
  readonly store: LeavesTemporaries;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Looks once. Never rejects.
 *
 * @returns whether it came to its end
 */
export async function sweepOnce({ store, logger, signal }: Omit<SweepParts, 'clock'>): Promise<boolean> {
  try {
    const removed = await store.removeStaleTemporaries(STALE_MS, isReplicaKey, { signal });
    if (removed > 0) logger.info('removed half-written files of processes that were killed', { removed });
    return true;
  } catch (error) {
    if (!signal.aborted) logger.debug(`half-written files were not looked for: ${messageOf(error)}`);
    return false;
  }
}

/** Until `signal` aborts. Never rejects: replication does not depend on it. */
export async function sweepTemporaries({ store, clock, logger, signal }: SweepParts): Promise<void> {
  while (!signal.aborted) {
    let waitMs = INTERVAL_MS;
    if (!(await sweepOnce({ store, logger, signal }))) waitMs = RETRY_MS;
    await clock.sleep(waitMs, signal).catch(() => undefined);
  }
}
