/** When to move the log's content into the database file. Pure: facts in, decision out. */
import { walBytes } from '../wal/frames.ts';

export interface CheckpointSettings {
  /** Pages in the log from which on it is checkpointed. */
  readonly minPages: number;
  /** Pages in the log at which what a destination that stands still lacks is spooled; 0 leaves only `walLimitBytes`. */
  readonly maxPages: number;
  /** A smaller log is checkpointed too when this long has passed since the last time; 0 turns that off. */
  readonly intervalMs: number;
  /** Log size at which what destinations lack is spooled, although they are shipping. */
  readonly walLimitBytes: number;
  /** What destinations may lack without a checkpoint waiting for them; `SMALL_REST_BYTES` when absent. */
  readonly smallRestBytes?: number;
}

export interface CheckpointFacts {
  readonly pageSizeBytes: number;
  /** End of the committed frames of the present log. */
  readonly tailBytes: number;
  /** Tail of the present log when everything in it was last checkpointed; undefined when that was another log. */
  readonly checkpointedBytes: number | undefined;
  readonly sinceLastMs: number;
  /** Bytes of the present log that the slowest destination has not confirmed; 0 when there is no destination. */
  readonly unconfirmedBytes: number;
  /** Every destination has confirmed something lately: waiting costs less than spooling. */
  readonly isShipping: boolean;
  /**
   * What they lack becomes less: writers have stopped or are slower, the file has its size already, and spooling would
   * write all of that once more.
   */
  readonly isDraining: boolean;
}

export type CheckpointDecision =
  | 'none'
  /** Everything is confirmed, or nearly: keep the little rest in the spool and go ahead. */
  | 'checkpoint'
  /** The log has reached its limit: spool whatever is not confirmed, then go ahead. */
  | 'spool-and-checkpoint';

/** A rest this small is spooled without waiting for the destination; it is gone again after the next upload. */
export const SMALL_REST_BYTES: number = 8 * 1024 * 1024;

export function decideCheckpoint(facts: CheckpointFacts, settings: CheckpointSettings): CheckpointDecision {
  if (!isWanted(facts, settings)) return 'none';
  if (facts.unconfirmedBytes <= (settings.smallRestBytes ?? SMALL_REST_BYTES)) return 'checkpoint';
  if (facts.tailBytes < limitBytes(facts, settings)) return 'none';
  return facts.isDraining ? 'none' : 'spool-and-checkpoint';
}

function isWanted(facts: CheckpointFacts, settings: CheckpointSettings): boolean {
  const nothingNew = facts.tailBytes <= (facts.checkpointedBytes ?? walBytes(0, facts.pageSizeBytes));
  if (nothingNew) return false;
  if (facts.tailBytes >= walBytes(settings.minPages, facts.pageSizeBytes)) return true;
  return settings.intervalMs > 0 && facts.sinceLastMs >= settings.intervalMs;
}

function limitBytes(facts: CheckpointFacts, settings: CheckpointSettings): number {
  if (settings.maxPages === 0 || facts.isShipping) return settings.walLimitBytes;
  return Math.min(settings.walLimitBytes, walBytes(settings.maxPages, facts.pageSizeBytes));
}
