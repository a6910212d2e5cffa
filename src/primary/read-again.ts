/**
 * Reads again what the system refused to read, for a while and with growing pauses. For what would be expensive to begin
 * again, such as a snapshot that is under way; everything else fails at once and is tried again by its caller.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { isReadFailure } from '../base/read-failure.ts';

const PAUSE_FIRST_MS = 50;
/** Nobody who gives up a copy waits longer than this for it to end. */
const PAUSE_MAX_MS = 1_000;
/** A disk that resets itself, or a server that fails over, is back by then. A snapshot keeps the log from shrinking meanwhile. */
const PAUSES_MS_MAX = 60_000;

export interface ReadAgainDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** @throws what `read` throws: at once unless it is a read failure, else after a minute of pauses */
export async function readAgain<T>(read: () => T | Promise<T>, { clock, logger }: ReadAgainDeps): Promise<T> {
  let pausedMs = 0;
  for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    try {
      const result = await read();
      if (pausedMs > 0) logger.info('the database can be read again', { failedForMs: pausedMs });
      return result;
    } catch (error) {
      if (!isReadFailure(error) || pausedMs >= PAUSES_MS_MAX) throw error;
      if (pausedMs === 0) logger.warn('reading the database failed; reading it again', { error });
    }
    await clock.sleep(pauseMs);
    pausedMs += pauseMs;
  }
}
