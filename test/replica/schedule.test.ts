import assert from 'node:assert/strict';
import { test } from 'node:test';

import { configFromCommandLine } from '../../src/config/from-command-line.ts';
import { nextDuty, notAhead, type Schedule, type ScheduleSettings } from '../../src/replica/schedule.ts';

const HOUR_MS = 3_600_000;
const SETTINGS: ScheduleSettings = {
  snapshotIntervalMs: 6 * HOUR_MS,
  retentionMs: 24 * HOUR_MS,
  retentionCheckIntervalMs: HOUR_MS,
  validationIntervalMs: 0,
};
const SNAPSHOT_AT_MS = 1_800_000_000_000;
const IDLE: Schedule = {
  snapshotAtMs: SNAPSHOT_AT_MS,
  retentionCheckedAtMs: undefined,
  retentionIsIdle: true,
  validatedAtMs: SNAPSHOT_AT_MS,
};

test('a snapshot is due when the newest one is as old as the interval, and something is new', () => {
  assert.deepEqual(nextDuty(IDLE, SETTINGS, true), {
    kind: 'snapshot',
    atMs: SNAPSHOT_AT_MS + 6 * HOUR_MS,
  });
  assert.equal(nextDuty(IDLE, SETTINGS, false), undefined);
});

test('without an interval one is due when the newest is as old as the retention', () => {
  const expected = { kind: 'snapshot', atMs: SNAPSHOT_AT_MS + 24 * HOUR_MS };
  for (const snapshotIntervalMs of [undefined, 0]) {
    assert.deepEqual(nextDuty(IDLE, { ...SETTINGS, snapshotIntervalMs }, true), expected);
  }
});

test('with the defaults of the configuration a replica does not grow for ever', () => {
  const [defaults] = configFromCommandLine('/app.db', ['file:///backup']).databases[0]?.replicas ?? [];
  assert.ok(defaults !== undefined);
  assert.deepEqual(nextDuty(IDLE, defaults, true), {
    kind: 'snapshot',
    atMs: SNAPSHOT_AT_MS + defaults.retentionMs,
  });
});

test('without a retention and an interval there is one snapshot for ever', () => {
  assert.equal(nextDuty(IDLE, { ...SETTINGS, snapshotIntervalMs: 0, retentionMs: 0 }, true), undefined);
});

test('retention is looked at each interval, never less often than its length, unless nothing can expire', () => {
  const busy = { ...IDLE, retentionIsIdle: false, retentionCheckedAtMs: SNAPSHOT_AT_MS };
  assert.deepEqual(nextDuty(busy, SETTINGS, false), { kind: 'retention', atMs: SNAPSHOT_AT_MS + HOUR_MS });
  assert.deepEqual(nextDuty(busy, { ...SETTINGS, retentionMs: 1000 }, false), {
    kind: 'retention',
    atMs: SNAPSHOT_AT_MS + 1000,
  });
});

test('after a failure a duty waits, and the others do not', () => {
  const atMs = SNAPSHOT_AT_MS + 100 * HOUR_MS;
  const waits = new Map([['snapshot', atMs] as const]);
  assert.deepEqual(nextDuty({ ...IDLE, waits }, SETTINGS, true), { kind: 'snapshot', atMs });
  const busy = { ...IDLE, retentionIsIdle: false, retentionCheckedAtMs: SNAPSHOT_AT_MS, waits };
  assert.deepEqual(nextDuty(busy, SETTINGS, true), { kind: 'retention', atMs: SNAPSHOT_AT_MS + HOUR_MS });
  const over = { ...IDLE, waits: new Map([['snapshot', SNAPSHOT_AT_MS] as const]) };
  assert.equal(
    nextDuty(over, SETTINGS, true)?.atMs,
    SNAPSHOT_AT_MS + 6 * HOUR_MS,
    'it is not due before its time',
  );
});

test('moments that are yet to come count as now, after a clock was wrong', () => {
  const nowMs = SNAPSHOT_AT_MS - 1000 * HOUR_MS;
  const schedule = notAhead({ ...IDLE, retentionIsIdle: false, retentionCheckedAtMs: SNAPSHOT_AT_MS }, nowMs);
  assert.deepEqual(nextDuty(schedule, SETTINGS, true), { kind: 'retention', atMs: nowMs + HOUR_MS });
  assert.equal(schedule.snapshotAtMs, nowMs);
  assert.equal(schedule.validatedAtMs, nowMs);
  assert.equal(notAhead({ ...IDLE, snapshotAtMs: undefined }, nowMs).snapshotAtMs, undefined);
  assert.deepEqual(notAhead(IDLE, SNAPSHOT_AT_MS + 1), { ...IDLE, retentionCheckedAtMs: undefined });
});

test('what is new is proven an interval after it came; without anything new nothing is due', () => {
  const settings = { ...SETTINGS, quickProofIntervalMs: 300_000, fullProofIntervalMs: 24 * HOUR_MS };
  const quiet = { ...IDLE, hasNewsSinceFull: false };
  assert.equal(nextDuty(quiet, settings, false), undefined);
  assert.deepEqual(nextDuty({ ...quiet, newsSinceMs: SNAPSHOT_AT_MS }, settings, false), {
    kind: 'proof',
    atMs: SNAPSHOT_AT_MS + 300_000,
  });
  assert.deepEqual(nextDuty({ ...quiet, hasNewsSinceFull: true }, settings, false), {
    kind: 'validation',
    atMs: SNAPSHOT_AT_MS + 24 * HOUR_MS,
  });
  const both = { ...settings, validationIntervalMs: HOUR_MS };
  assert.equal(nextDuty(IDLE, both, false)?.atMs, SNAPSHOT_AT_MS + HOUR_MS, 'the shorter one counts');
});

test('where nothing is new the destination is listed as often as it would be restored', () => {
  const settings = { ...SETTINGS, quickProofIntervalMs: 300_000, fullProofIntervalMs: 24 * HOUR_MS };
  const quiet = { ...IDLE, hasNewsSinceFull: false, lookedAtMs: SNAPSHOT_AT_MS };
  assert.deepEqual(nextDuty(quiet, settings, false), { kind: 'proof', atMs: SNAPSHOT_AT_MS + 24 * HOUR_MS });
  assert.equal(nextDuty(quiet, { ...settings, fullProofIntervalMs: 0 }, false), undefined);
  assert.equal(nextDuty(quiet, { ...settings, quickProofIntervalMs: 0 }, false), undefined);
  const rare = { ...settings, quickProofIntervalMs: 48 * HOUR_MS };
  assert.equal(nextDuty(quiet, rare, false)?.atMs, SNAPSHOT_AT_MS + 48 * HOUR_MS);
});

test('while the destination is damaged nothing is removed, and it is looked at again', () => {
  const busy = { ...IDLE, retentionIsIdle: false, newsSinceMs: SNAPSHOT_AT_MS };
  assert.equal(nextDuty({ ...busy, isBroken: false }, SETTINGS, false)?.kind, 'retention');
  assert.deepEqual(nextDuty({ ...busy, isBroken: true }, SETTINGS, false), {
    kind: 'proof',
    atMs: SNAPSHOT_AT_MS + 300_000,
  });
});
