/** When the last checkpoint was, when the next may be tried, and what it takes to run one. */
import type { Clock } from '../base/clock.ts';
import { type CheckpointSettings, decideCheckpoint } from './checkpoint-policy.ts';
import { handOver, type HandoverOutcome, type HandoverParts } from './handover.ts';
import type { LogTail } from './log-tail.ts';

/** After a checkpoint that others hindered, the next attempt waits; doubling up to the second bound while the log is small. */
const HINDERED_WAIT_MS = 50;
const HINDERED_WAIT_MAX_MS = 2_000;

/** Over this time a backlog is watched. */
const DRAIN_LOOK_MS = 1_000;

export interface TurnFacts {
  readonly unconfirmedBytes: number;
  readonly isShipping: boolean;
}

export class CheckpointTurn {
  readonly #settings: CheckpointSettings;
  readonly #clock: Clock;
  /** Tail of the present log when all of it was last in the database file. */
  #checkpointedBytes: number | undefined;
  #lastMs: number;
  #notBeforeMs: number;
  #hinderedWaitMs = 0;
  #hindered: { readonly outcome: 'partial' | 'busy'; readonly sinceMs: number } | undefined;
  #backlog: { readonly sinceMs: number; readonly bytes: number } | undefined;

  constructor(settings: CheckpointSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#lastMs = clock.monotonicMs();
    this.#notBeforeMs = this.#lastMs;
  }

  /** How attempts have been ending, and for how long, since the last one that worked. */
  get hindrance(): { readonly outcome: 'partial' | 'busy'; readonly forMs: number } | undefined {
    if (this.#hindered === undefined) return undefined;
    const { outcome, sinceMs } = this.#hindered;
    return { outcome, forMs: this.#clock.monotonicMs() - sinceMs };
  }

  /** The present log is a new one. */
  logRestarted(): void {
    this.#checkpointedBytes = undefined;
    this.#hindered = undefined;
  }

  isDue(tail: LogTail, facts: TurnFacts): boolean {
    const nowMs = this.#clock.monotonicMs();
    const isDraining = facts.isShipping && this.#isDraining(facts.unconfirmedBytes, nowMs);
    if (nowMs < this.#notBeforeMs) return false;
    const decision = decideCheckpoint(
      {
        ...facts,
        isDraining,
        pageSizeBytes: tail.pageSizeBytes,
        tailBytes: tail.position.offsetBytes,
        checkpointedBytes: this.#checkpointedBytes,
        sinceLastMs: nowMs - this.#lastMs,
      },
      this.#settings,
    );
    return decision !== 'none';
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

  /** The log nears its limit: rather let writers wait than let it grow on. */
  #isUrgent(tail: LogTail): boolean {
    return tail.position.offsetBytes >= this.#settings.walLimitBytes / 2;
  }

  async run(parts: Omit<HandoverParts, 'checkpointedBytes' | 'isUrgent'>): Promise<HandoverOutcome> {
    const isUrgent = this.#isUrgent(parts.tail);
    const outcome = await handOver({ ...parts, isUrgent, checkpointedBytes: this.#checkpointedBytes ?? 0 });
    const nowMs = this.#clock.monotonicMs();
    if (outcome !== 'busy') this.#lastMs = nowMs;
    this.#hindered =
      outcome === 'complete' ? undefined : { outcome, sinceMs: this.#hindered?.sinceMs ?? nowMs };
    if (outcome === 'complete') {
      this.#checkpointedBytes = parts.tail.position.offsetBytes;
      this.#hinderedWaitMs = 0;
    } else {
      const longerMs = isUrgent ? HINDERED_WAIT_MS : Math.max(HINDERED_WAIT_MS, this.#hinderedWaitMs * 2);
      this.#hinderedWaitMs = Math.min(HINDERED_WAIT_MAX_MS, longerMs);
      this.#notBeforeMs = nowMs + this.#hinderedWaitMs;
    }
    return outcome;
  }
}
