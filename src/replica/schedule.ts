/** What is due when at one destination. Pure, and timed by what the destination holds, not by when we started. */

/** How often damage is looked at again where quick proofs are off. */
const BROKEN_LOOK_MS = 5 * 60_000;

export interface ScheduleSettings {
  /** Age of the newest snapshot at which another is taken; undefined or 0 means at `retentionMs`. */
  readonly snapshotIntervalMs: number | undefined;
  /** Length of the window that stays restorable; 0 keeps everything for ever. */
  readonly retentionMs: number;
  readonly retentionCheckIntervalMs: number;
  readonly validationIntervalMs: number | undefined;
  /** Between proofs of what is new; undefined or 0: none. */
  readonly quickProofIntervalMs?: number | undefined;
  /** Between full proofs, beside `validationIntervalMs`; undefined or 0: none. */
  readonly fullProofIntervalMs?: number | undefined;
}

export interface Schedule {
  /** When the newest snapshot of the generation got there; undefined when not known, then one is due at once. */
  readonly snapshotAtMs: number | undefined;
  /** Undefined when not checked since the start. */
  readonly retentionCheckedAtMs: number | undefined;
  /** At the last check there was nothing that could expire later, and nothing has been written since. */
  readonly retentionIsIdle: boolean;
  readonly validatedAtMs: number;
  /** Since when something has been there that nobody has proven; undefined: nothing. */
  readonly newsSinceMs?: number | undefined;
  /** When a quick proof ended last; undefined when there are none. */
  readonly lookedAtMs?: number | undefined;
  /** Something has been stored since the last full proof; true when absent. */
  readonly hasNewsSinceFull?: boolean;
  /** The last proof failed: nothing older may be let go of before another one succeeds. */
  readonly isBroken?: boolean;
  /** After a failure a duty is not tried before this moment; the others are. */
  readonly waits?: ReadonlyMap<DutyKind, number>;
}

export type DutyKind = 'snapshot' | 'retention' | 'validation' | 'proof';

export interface Duty {
  readonly kind: DutyKind;
  readonly atMs: number;
}

/** When the newest snapshot is old enough for another one; undefined when there will be none, or none is there yet. */
export function snapshotDueAtMs(schedule: Schedule, settings: ScheduleSettings): number | undefined {
  const everyMs = settings.snapshotIntervalMs || settings.retentionMs;
  return everyMs > 0 && schedule.snapshotAtMs !== undefined ? schedule.snapshotAtMs + everyMs : undefined;
}

/** When retention is to be enforced next; undefined when there is nothing to remove and nothing that will expire. */
export function retentionDueAtMs(schedule: Schedule, settings: ScheduleSettings): number | undefined {
  if (settings.retentionMs <= 0 || schedule.retentionIsIdle) return undefined;
  const everyMs = Math.min(settings.retentionCheckIntervalMs, settings.retentionMs);
  return (schedule.retentionCheckedAtMs ?? Number.NEGATIVE_INFINITY) + everyMs;
}

/** @param hasNews - whether a snapshot taken now would hold anything that the newest one does not */
export function nextDuty(schedule: Schedule, settings: ScheduleSettings, hasNews: boolean): Duty | undefined {
  const duties: Duty[] = [];
  const snapshotEveryMs = settings.snapshotIntervalMs || settings.retentionMs;
  if (hasNews && snapshotEveryMs > 0) {
    duties.push({
      kind: 'snapshot',
      atMs: (schedule.snapshotAtMs ?? Number.NEGATIVE_INFINITY) + snapshotEveryMs,
    });
  }
  const retentionAtMs = schedule.isBroken === true ? undefined : retentionDueAtMs(schedule, settings);
  if (retentionAtMs !== undefined) duties.push({ kind: 'retention', atMs: retentionAtMs });
  const fullEveryMs = fullIntervalMs(settings);
  // What has not changed since is as it was.
  if (fullEveryMs !== undefined && schedule.hasNewsSinceFull !== false && schedule.isBroken !== true) {
    duties.push({ kind: 'validation', atMs: schedule.validatedAtMs + fullEveryMs });
  }
  const proofAtMs = whenToProve(schedule, settings);
  if (proofAtMs !== undefined) duties.push({ kind: 'proof', atMs: proofAtMs });
  return duties
    .map(({ kind, atMs }) => ({ kind, atMs: Math.max(atMs, schedule.waits?.get(kind) ?? atMs) }))
    .reduce<Duty | undefined>(
      (best, duty) => (best === undefined || duty.atMs < best.atMs ? duty : best),
      undefined,
    );
}

/**
 * A clock that was wrong for a while leaves moments that are yet to come. What was done then counts as done now: else nothing
 * would be done until that day.
 */
export function notAhead(schedule: Schedule, nowMs: number): Schedule {
  const noLater = <T extends number | undefined>(ms: T): T | number =>
    ms === undefined ? ms : Math.min(ms, nowMs);
  return {
    ...schedule,
    snapshotAtMs: noLater(schedule.snapshotAtMs),
    retentionCheckedAtMs: noLater(schedule.retentionCheckedAtMs),
    validatedAtMs: noLater(schedule.validatedAtMs),
  };
}

/** The shorter of the two intervals that are set. */
function fullIntervalMs({ validationIntervalMs, fullProofIntervalMs }: ScheduleSettings): number | undefined {
  const set = [validationIntervalMs, fullProofIntervalMs].filter((ms) => ms !== undefined && ms > 0);
  return set.length === 0 ? undefined : Math.min(...(set as number[]));
}

/**
 * Soon after something new. Where nothing is new, others may still remove what is there: it is listed and compared as often as
 * full proofs would be made.
 */
function whenToProve(schedule: Schedule, settings: ScheduleSettings): number | undefined {
  const { newsSinceMs, lookedAtMs } = schedule;
  const quickEveryMs = quickIntervalMs(settings, schedule.isBroken === true);
  if (quickEveryMs === undefined) return undefined;
  if (newsSinceMs !== undefined) return newsSinceMs + quickEveryMs;
  const idleEveryMs = fullIntervalMs(settings);
  if (lookedAtMs === undefined || idleEveryMs === undefined) return undefined;
  return lookedAtMs + Math.max(idleEveryMs, quickEveryMs);
}

/** Damage that a full proof found is looked at again although nobody asked for quick ones. */
function quickIntervalMs(settings: ScheduleSettings, isBroken: boolean): number | undefined {
  const { quickProofIntervalMs = 0 } = settings;
  if (quickProofIntervalMs > 0) return quickProofIntervalMs;
  return isBroken ? BROKEN_LOOK_MS : undefined;
}
