/** What planning a restore comes to: a plan, or the reason why there is none. */
import type { ErrorCode } from '../base/errors.ts';
import type { EndEntry, SegmentEntry, SnapshotEntry } from './inventory.ts';
import type { Generation, Position } from './names.ts';

export interface RestorePlan {
  readonly generation: Generation;
  readonly snapshot: SnapshotEntry;
  /** From the snapshot's index, offset 0, on; in order, and without a gap that names can show. */
  readonly segments: readonly SegmentEntry[];
  /** True when segments were left out because they are later than the moment asked for. */
  readonly cutByTime: boolean;
  /** The chain is applied up to here, which it must reach; undefined for all of it. */
  readonly until: Position | undefined;
  /** The chain must reach this promise. */
  readonly promise: EndEntry | undefined;
  /** The segment that follows what was asked for: the chain must end exactly where it says. */
  readonly witness: SegmentEntry | undefined;
  /** Objects to fetch and their stored bytes, without the witness. */
  readonly objects: number;
  readonly bytes: number;
  /** When the newest object of the plan was stored: the moment that the result stands for. */
  readonly resultingTimeMs: number;
  /** The steps of all times, in milliseconds; 1 when absent. See `time-step.ts`. */
  readonly timeStepMs?: number;
}

export interface PlanFailure {
  readonly code: Extract<ErrorCode, 'REPLICA_EMPTY' | 'TARGET_UNAVAILABLE' | 'CHAIN_BROKEN' | 'USAGE'>;
  readonly message: string;
  /** The object that is missing or wrong. */
  readonly key?: string;
  /** Where the chain of `generation` cannot be passed. */
  readonly generation?: Generation;
  readonly position?: Position;
}

export type PlanOutcome =
  | { readonly plan: RestorePlan; readonly failure?: never }
  | { readonly failure: PlanFailure; readonly plan?: never };
