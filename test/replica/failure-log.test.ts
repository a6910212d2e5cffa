import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RivuletError } from '../../src/base/errors.ts';
import { FailureLog, SHIPPING } from '../../src/replica/failure-log.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

test('a failing destination: one line with what to do, reminders, one line when it works again', () => {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const heard: string[] = [];
  const observer = { onFailure: () => heard.push('failure'), onRecovery: () => heard.push('recovery') };
  const log = new FailureLog(SHIPPING, { clock, logger, observer });
  const error = new RivuletError('HOST_KEY_UNVERIFIED', 'the host key is not known', {
    hint: 'pin it: ssh-ed25519 AAAA',
  });

  assert.ok(log.failed(error) > 0);
  assert.equal(log.failed(new Error('something else')) > 0, true);
  const [first] = logger.matching('the destination failed; trying again');
  assert.equal(first?.fields['hint'], 'pin it: ssh-ed25519 AAAA');
  assert.equal(logger.messages('warn').length, 1);
  assert.equal(log.message, 'something else');

  clock.advance(5 * 60_000);
  log.failed(new Error('still'));
  assert.equal(logger.messages('warn').length, 2);
  assert.ok(!('hint' in logger.matching('the destination failed; trying again')[1]!.fields));

  log.recovered();
  log.recovered();
  assert.equal(log.message, undefined);
  assert.deepEqual(logger.matching('works again').length, 1);
  assert.deepEqual(heard, ['failure', 'failure', 'failure', 'recovery']);
});
