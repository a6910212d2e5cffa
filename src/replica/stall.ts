/**
 * Whether something that has work to do stands still. Pure: a watch is carried from one look to the next.
 *
 * Only time that was watched counts. A machine that was suspended, a process that was stopped and a clock that jumped
 * make a long gap between two looks, in which nobody could have done anything; of such a gap only so much counts as
 * looks are apart otherwise.
 */

/** What is seen at one look. */
export interface StallFacts {
  /** By the monotonic clock. */
  readonly nowMs: number;
  /** Whether there is anything to be done. Who has nothing to do does not stand still. */
  readonly hasWork: boolean;
  /** Changes whenever something is done; equal texts mean that nothing was. */
  readonly progress: string;
  /** Changes when something is done that ends a stall; as `progress` when absent. */
  readonly outcome?: string;
  /** Most that a gap since the last look counts for. */
  readonly gapMsMax: number;
}

/** What is kept between two looks. */
export interface StallWatch {
  readonly lookedAtMs: number;
  readonly progress: string;
  /** For how long there has been work and no progress, as far as that was watched. */
  readonly stillMs: number;
}

/** @param before - the watch of the last look; undefined at the first one */
export function watchStall(before: StallWatch | undefined, facts: StallFacts): StallWatch {
  const { nowMs, hasWork, progress, gapMsMax } = facts;
  const isStill = hasWork && before?.progress === progress;
  const gapMs = Math.min(gapMsMax, Math.max(0, nowMs - (before?.lookedAtMs ?? nowMs)));
  return { lookedAtMs: nowMs, progress, stillMs: isStill ? (before?.stillMs ?? 0) + gapMs : 0 };
}

/** What a destination may take before it counts as standing still. */
export interface StallLimits {
  /** `stall-after`; 0: never. */
  readonly stallAfterMs: number;
  /** What may pass by configuration alone before anything is tried. */
  readonly spacingMs: number;
  /** What bytes need that were handed over whole and of which nobody sees how far they have come. */
  readonly unseenMs: number;
}

/** @returns milliseconds; infinity when nothing ever counts as standing still */
export function stallLimitMs(limits: StallLimits): number {
  const { stallAfterMs, spacingMs, unseenMs } = limits;
  if (stallAfterMs === 0) return Number.POSITIVE_INFINITY;
  return stallAfterMs + spacingMs + unseenMs;
}
