/** When a process that hangs is to be ended. Pure: the watch is carried from one look to the next. */
import { type StallWatch, watchStall } from '../replica/stall.ts';

/** What the main thread has said, as it is at one look. */
export interface WatchdogFacts {
  /** By the monotonic clock. */
  readonly nowMs: number;
  /** Changes as long as the main thread gets its turn. */
  readonly beats: number;
  /** How long the main thread may hang; undefined: for ever. */
  readonly hangLimitMs: number | undefined;
  /** How long the process may still take to end; undefined while it is not to end. */
  readonly endLimitMs: number | undefined;
}

export interface WatchdogWatch {
  readonly hang: StallWatch;
  readonly end: StallWatch;
  readonly isOver: boolean;
}

/**
 * Only time that was watched counts, as in `stall.ts`: after a process was stopped and goes on, its main thread has had no turn either.
 *
 * @param gapMsMax - most that a gap since the last look counts for
 */
export function watchMainThread(
  before: WatchdogWatch | undefined,
  { nowMs, beats, hangLimitMs, endLimitMs }: WatchdogFacts,
  gapMsMax: number,
): WatchdogWatch {
  const hang = watchStall(before?.hang, {
    nowMs,
    gapMsMax,
    hasWork: hangLimitMs !== undefined,
    progress: String(beats),
  });
  const end = watchStall(before?.end, { nowMs, gapMsMax, hasWork: endLimitMs !== undefined, progress: '' });
  const isOver =
    hang.stillMs > (hangLimitMs ?? Number.POSITIVE_INFINITY) ||
    end.stillMs > (endLimitMs ?? Number.POSITIVE_INFINITY);
  return { hang, end, isOver };
}
