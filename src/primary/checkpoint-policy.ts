/** When to move the WAL's content into the database file. Pure: facts in, decision out. */
import { walBytes } from '../wal/frames.ts';

export interface CheckpointSettings {
  /** Pages in the WAL from which on it is checkpointed. */
  readonly minPages: number;
  /** Pages in the WAL at which what a stalled destination lacks is spooled; 0 leaves only `walLimitBytes`. */
  readonly maxPages: number;
  /** A smaller WAL is checkpointed too when this long has passed since the last time; 0 turns that off. */
  readonly intervalMs: number;
  /** From half of this WAL size on, what destinations lack is spooled, although they are shipping, and writers wait for moments. */
  readonly walLimitBytes: number;
  /** What destinations may lack without a checkpoint waiting for them; `SMALL_REST_BYTES` when absent. */
  readonly smallRestBytes?: number;
  /** How much the WAL grows between two attempts while commits keep coming; `STEP_BYTES`, or less by the limit, when absent. */
  readonly stepBytes?: number;
}

export interface CheckpointFacts {
  readonly pageSizeBytes: number;
  /** End of the committed frames of the present WAL. */
  readonly tailBytes: number;
  /** Tail of the present WAL at the last attempt to checkpoint it; undefined when there was none. */
  readonly attemptedBytes: number | undefined;
  /** What of the present WAL is in the database file, by whoever's checkpoint. */
  readonly backfilledBytes: number;
  /** Since the present WAL began, or since the last attempt to checkpoint it. */
  readonly untriedMs: number;
  /** Without a commit for so long. */
  readonly stillMs: number;
  /** Other connections have checkpointed this database lately. */
  readonly isDoneByOthers: boolean;
  readonly sinceLastMs: number;
  /** Bytes of the present WAL that the slowest destination has not confirmed; 0 when there is no destination. */
  readonly unconfirmedBytes: number;
  /** Every destination has confirmed something lately: waiting costs less than spooling. */
  readonly isShipping: boolean;
  /**
   * What they lack becomes less: writers have stopped or are slower, the file has its size already, and spooling would
   * write all of that once more.
   */
  readonly isDraining: boolean;
}

/** A rest this small is spooled without waiting for the destination; it is gone again after the next upload. */
export const SMALL_REST_BYTES: number = 8 * 1024 * 1024;
/**
 * While commits keep coming an attempt mostly fails, and each costs two syncs and lets the application's automatic checkpoints do
 * another part: so it is made after this much more. An eighth of the limit, or four times the smallest WAL that is
 * checkpointed, where that is less.
 */
const STEP_BYTES = 16 * 1024 * 1024;

/**
 * An application that checkpoints after its last commit is told "busy" at once while another checkpoint runs, so it is left to do so
 * first.
 */
const STILL_MS = 1_000;

/** A WAL that grows so slowly leaves gaps between commits, in which an attempt succeeds. */
const SLOW_MS = 1_000;

export type CheckpointDecision =
  | 'none'
  /** Only move the read transaction forward: others move the WAL's content up to there. */
  | 'advance'
  | 'checkpoint';

export function decideCheckpoint(facts: CheckpointFacts, settings: CheckpointSettings): CheckpointDecision {
  const wanted = wantedStep(facts, settings);
  if (wanted === 'none' || facts.unconfirmedBytes <= (settings.smallRestBytes ?? SMALL_REST_BYTES))
    return wanted;
  const isHeldBack = facts.tailBytes < spooledFromBytes(facts, settings) || facts.isDraining;
  return isHeldBack ? 'none' : wanted;
}

function wantedStep(facts: CheckpointFacts, settings: CheckpointSettings): CheckpointDecision {
  const { tailBytes, attemptedBytes = 0, backfilledBytes, pageSizeBytes, stillMs, isDoneByOthers } = facts;
  if (tailBytes <= Math.max(backfilledBytes, walBytes(0, pageSizeBytes))) return 'none';
  const isNew = tailBytes > attemptedBytes;
  if (isNew && settings.intervalMs > 0 && facts.sinceLastMs >= settings.intervalMs) return 'checkpoint';
  if (tailBytes < walBytes(settings.minPages, pageSizeBytes)) return 'none';
  const isLeft = isDoneByOthers && tailBytes < settings.walLimitBytes / 2;
  if (stillMs >= STILL_MS) return isNew && !isLeft ? 'checkpoint' : 'none';
  const minBytes = walBytes(settings.minPages, pageSizeBytes);
  const stepBytes = settings.stepBytes ?? Math.min(STEP_BYTES, settings.walLimitBytes / 8, 4 * minBytes);
  if (isNew && facts.untriedMs >= SLOW_MS) return 'checkpoint';
  if (tailBytes - attemptedBytes < stepBytes) return 'none';
  return isLeft ? 'advance' : 'checkpoint';
}

/** From this size on it costs less to spool what destinations lack than to let the WAL grow: its pages are fresh memory. */
function spooledFromBytes(facts: CheckpointFacts, settings: CheckpointSettings): number {
  const halfBytes = settings.walLimitBytes / 2;
  if (settings.maxPages === 0 || facts.isShipping) return halfBytes;
  return Math.min(halfBytes, walBytes(settings.maxPages, facts.pageSizeBytes));
}
