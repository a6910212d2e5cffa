import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StallAlarm } from '../../src/daemon/stall-alarm.ts';
import { replicaStall } from '../../src/daemon/stall-told.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

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
