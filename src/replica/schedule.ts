/** What is due when at one destination. Pure, and timed by what the destination holds, not by when we started. */

export interface ScheduleSettings {
  /** Age of the newest snapshot at which another is taken; undefined or 0 means at `retentionMs`. */
  readonly snapshotIntervalMs: number | undefined;
  /** Length of the window that stays restorable; 0 keeps everything for ever. */
  readonly retentionMs: number;
  readonly retentionCheckIntervalMs: number;
  readonly validationIntervalMs: number | undefined;
}

export interface Schedule {
  /** When the newest snapshot of the generation got there; undefined when not known, then one is due at once. */
  readonly snapshotAtMs: number | undefined;
  /** Undefined when not checked since the start. */
  readonly retentionCheckedAtMs: number | undefined;
  /** At the last check there was nothing that could expire later, and nothing has been written since. */
  readonly retentionIsIdle: boolean;
  readonly validatedAtMs: number;
  /** After a failure nothing is tried before this moment. */
  readonly notBeforeMs?: number;
}

export interface Duty {
  readonly kind: 'snapshot' | 'retention' | 'validation';
  readonly atMs: number;
}

/** When the newest snapshot is old enough for another one; undefined when there will be none, or none is there yet. */
export function snapshotDueAtMs(schedule: Schedule, settings: ScheduleSettings): number | undefined {
  const everyMs = settings.snapshotIntervalMs || settings.retentionMs;
  return everyMs > 0 && schedule.snapshotAtMs !== undefined ? schedule.snapshotAtMs + everyMs : undefined;
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
  if (settings.retentionMs > 0 && !schedule.retentionIsIdle) {
    const everyMs = Math.min(settings.retentionCheckIntervalMs, settings.retentionMs);
    duties.push({
      kind: 'retention',
      atMs: (schedule.retentionCheckedAtMs ?? Number.NEGATIVE_INFINITY) + everyMs,
    });
  }
  if (settings.validationIntervalMs !== undefined && settings.validationIntervalMs > 0) {
    duties.push({ kind: 'validation', atMs: schedule.validatedAtMs + settings.validationIntervalMs });
  }
  const first = duties.reduce<Duty | undefined>(
    (best, duty) => (best === undefined || duty.atMs < best.atMs ? duty : best),
    undefined,
  );
  return first && { ...first, atMs: Math.max(first.atMs, schedule.notBeforeMs ?? Number.NEGATIVE_INFINITY) };
}
