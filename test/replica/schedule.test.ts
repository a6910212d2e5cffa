import assert from 'node:assert/strict';
import { test } from 'node:test';

import { configFromCommandLine } from '../../src/config/from-command-line.ts';
import { nextDuty, type Schedule, type ScheduleSettings } from '../../src/replica/schedule.ts';

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

test('after a failure nothing is due before its wait is over', () => {
  const notBeforeMs = SNAPSHOT_AT_MS + 100 * HOUR_MS;
  assert.equal(nextDuty({ ...IDLE, notBeforeMs }, SETTINGS, true)?.atMs, notBeforeMs);
});
