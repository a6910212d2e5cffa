import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StallAlarm } from '../../src/daemon/stall-alarm.ts';
import { replicaStall } from '../../src/daemon/stall-told.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

test('what moves a little and stores nothing does not end a stall', () => {
  const [clock, logger] = [new FakeClock(1_000_000), new RecordingLogger()];
  const alarm = new StallAlarm(clock, logger);
  const look = (nowMs: number, progress: string, outcome: string): boolean =>
    alarm.look({ nowMs, hasWork: true, progress, outcome, gapMsMax: 10_000 }, 5000, () =>
      replicaStall(undefined, 1),
    );
  look(0, 'a', 'none');
  assert.equal(look(3000, 'b', 'none'), false, 'it moves');
  assert.equal(look(6000, 'b', 'none'), false, 'for long enough');
  assert.equal(look(9000, 'b', 'none'), true);
  for (let nowMs = 10_000; nowMs < 3_600_000; nowMs += 1000)
    assert.equal(look(nowMs, `moves ${nowMs}`, 'none'), false);
  assert.equal(logger.lines.length, 1, 'it has been told once');
  look(3_609_000, 'c', 'none');
  assert.equal(logger.lines.length, 2, 'and again after an hour');
  assert.equal(logger.lines[1]?.fields['stillForMs'], 3_606_000);
  look(3_610_000, 'd', 'stored');
  assert.match(logger.lines[2]?.message ?? '', /stores changes again/);
});

test('since when something stands still is told in whole milliseconds, as all other times are', () => {
  const [clock, logger] = [new FakeClock(1_000_000), new RecordingLogger()];
  const alarm = new StallAlarm(clock, logger);
  const look = (nowMs: number, progress: string): boolean =>
    alarm.look({ nowMs, hasWork: true, progress, gapMsMax: 10_000 }, 5000, () => replicaStall(undefined, 1));
  assert.equal(look(0.25, 'a'), false);
  assert.equal(look(6000.7, 'a'), true);
  assert.equal(alarm.sinceMs, 1_000_000 - 6000);
  assert.equal(look(7000, 'b'), false);
  assert.equal(logger.lines.at(-1)?.fields['stalledForMs'], 6000);
});
