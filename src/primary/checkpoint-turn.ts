/** When the last checkpoint was, when the next may be tried, and what it takes to run one. */
import type { Clock } from '../base/clock.ts';
import { type CheckpointDecision, type CheckpointSettings, decideCheckpoint } from './checkpoint-policy.ts';
import { handOver, type HandoverOutcome, type HandoverParts } from './handover.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import type { LogTail } from './log-tail.ts';

/** After a checkpoint that others hindered, the next attempt waits; doubling up to the second bound while the log is small. */
const HINDERED_WAIT_MS = 50;
const HINDERED_WAIT_MAX_MS = 2_000;

/** What may be read under the write lock: some milliseconds. */
const LOCKED_BYTES = 4 * 1024 * 1024;
/** Who has checkpointed a database does it again, mostly. */
const OTHERS_MS = 600_000;
/** Over this time a backlog is watched. */
const DRAIN_LOOK_MS = 1_000;

export interface TurnFacts {
  readonly unconfirmedBytes: number;
  readonly isShipping: boolean;
  readonly stillMs: number;
  /** The WAL index as it is now. */
  readonly published: WalIndex;
}

export class CheckpointTurn {
  readonly #settings: CheckpointSettings;
  readonly #clock: Clock;
  /** Tail of the present WAL at the last attempt. */
  #attemptedBytes: number | undefined;
  /** What was in the database file of which WAL when it was looked at last. */
  #backfilled = { salts: '', frames: 0 };
  /** When others were seen to have checkpointed last. */
  #othersMs = Number.NEGATIVE_INFINITY;
  #lastMs: number;
  #untriedSinceMs: number;
  #notBeforeMs: number;
  #hinderedWaitMs = 0;
  #hindered: { readonly outcome: Exclude<HandoverOutcome, 'complete'>; readonly sinceMs: number } | undefined;
  /** What the WAL must grow to before it is reported; twice as much each time. */
  #reportBytes: number;
  #backlog: { readonly sinceMs: number; readonly bytes: number } | undefined;

  constructor(settings: CheckpointSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#reportBytes = settings.walLimitBytes * 2;
    this.#lastMs = clock.monotonicMs();
    this.#untriedSinceMs = this.#lastMs;
    this.#notBeforeMs = this.#lastMs;
  }

  /** How attempts have been ending, and for how long, since the last one that worked. */
  get hindrance():
    | { readonly outcome: Exclude<HandoverOutcome, 'complete'>; readonly forMs: number }
    | undefined {
    if (this.#hindered === undefined) return undefined;
    const { outcome, sinceMs } = this.#hindered;
    return { outcome, forMs: this.#clock.monotonicMs() - sinceMs };
  }

  /** The present log is a new one. */
  logRestarted(): void {
    this.#untriedSinceMs = this.#clock.monotonicMs();
    this.#attemptedBytes = undefined;
    this.#hindered = undefined;
    this.#reportBytes = this.#settings.walLimitBytes * 2;
  }

  /** Whether the WAL has outgrown its limit, and that is to be reported now. */
  hasOutgrown(tail: LogTail): boolean {
    const { offsetBytes } = tail.position;
    if (offsetBytes < this.#reportBytes) return false;
    this.#reportBytes = offsetBytes * 2;
    return true;
  }

  /** What is due now. */
  decide(tail: LogTail, { published, ...facts }: TurnFacts): CheckpointDecision {
    this.#note(published);
    const nowMs = this.#clock.monotonicMs();
    const isDraining = facts.isShipping && this.#isDraining(facts.unconfirmedBytes, nowMs);
    if (nowMs < this.#notBeforeMs) return 'none';
    return decideCheckpoint(
      {
        ...facts,
        isDraining,
        pageSizeBytes: tail.pageSizeBytes,
        tailBytes: tail.position.offsetBytes,
        backfilledBytes: tail.isLogOf(published)
          ? tail.bytesOf(published.backfilledFrames)
          : Number.POSITIVE_INFINITY,
        untriedMs: nowMs - this.#untriedSinceMs,
        isDoneByOthers: nowMs - this.#othersMs < OTHERS_MS,
        attemptedBytes: this.#attemptedBytes,
        sinceLastMs: nowMs - this.#lastMs,
      },
      this.#settings,
    );
  }

  /**
   * Whether a backlog larger than the limit, as one large transaction makes it, becomes less: looked at over a second,
   * and given that much to begin with.
   */
  #isDraining(bytes: number, nowMs: number): boolean {
    if (bytes <= this.#settings.walLimitBytes) {
      this.#backlog = undefined;
      return false;
    }
    const before = this.#backlog;
    if (before !== undefined && nowMs - before.sinceMs < DRAIN_LOOK_MS) return true;
    this.#backlog = { sinceMs: nowMs, bytes };
    return before === undefined || bytes < before.bytes;
  }

  /** From half of the limit on writers may have to wait for a moment, from the limit on for a little longer. */
  #lockedBytesMax(tail: LogTail): number | undefined {
    const { offsetBytes } = tail.position;
    const { walLimitBytes } = this.#settings;
    if (offsetBytes < walLimitBytes / 2) return undefined;
    return offsetBytes < walLimitBytes ? LOCKED_BYTES : Number.POSITIVE_INFINITY;
  }

  /** What went into the database file since the last look, and not by a checkpoint of this process, was done by others. */
  #note({ salt1, salt2, backfilledFrames }: WalIndex): void {
    const { salts, frames } = this.#backfilled;
    const now = `${salt1} ${salt2}`;
    if (backfilledFrames > (now === salts ? frames : 0)) this.#othersMs = this.#clock.monotonicMs();
    this.#backfilled = { salts: now, frames: backfilledFrames };
  }

  /** The read transaction was moved forward, for others to checkpoint up to there. */
  advanced(tail: LogTail): void {
    this.#attemptedBytes = tail.position.offsetBytes;
    this.#untriedSinceMs = this.#clock.monotonicMs();
  }

  async run(parts: Omit<HandoverParts, 'lockedBytesMax'>): Promise<HandoverOutcome> {
    const lockedBytesMax = this.#lockedBytesMax(parts.tail);
    const outcome = await handOver({ ...parts, lockedBytesMax });
    const { salt1, salt2, backfilledFrames } = parts.published();
    this.#backfilled = { salts: `${salt1} ${salt2}`, frames: backfilledFrames };
    const nowMs = this.#clock.monotonicMs();
    this.#untriedSinceMs = nowMs;
    if (outcome !== 'busy') this.#lastMs = nowMs;
    this.#hindered =
      outcome === 'complete' ? undefined : { outcome, sinceMs: this.#hindered?.sinceMs ?? nowMs };
    // Whoever was in the way may go without a commit, so that attempt is made again.
    if (outcome === 'complete' || outcome === 'outrun')
      this.#attemptedBytes = parts.tail.position.offsetBytes;
    if (outcome === 'complete') this.#hinderedWaitMs = 0;
    else {
      const longerMs = Math.max(HINDERED_WAIT_MS, this.#hinderedWaitMs * 2);
      this.#hinderedWaitMs = Math.min(HINDERED_WAIT_MAX_MS, longerMs);
      this.#notBeforeMs = nowMs + this.#hinderedWaitMs;
    }
    return outcome;
  }
}
