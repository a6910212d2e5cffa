import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StorageRetrier } from '../../src/storage/retry.ts';
import { storageFailed } from '../../src/storage/storage-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

function scene() {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const retrier = new StorageRetrier({ clock, logger, random: () => 1 });
  /** A call that works from `workingAtMs` on. */
  const call = async (workingAtMs: number): Promise<void> =>
    retrier.run('write a/b', async () => {
      if (clock.monotonicMs() < workingAtMs) throw storageFailed('503', { retry: true, hint: 'wait' });
    });
  return { clock, logger, retrier, call };
}

const TOLD = 'the destination keeps failing; trying again';
const OVER = 'the destination works again';

describe('an outage that is tried away', () => {
  it('is told within ten seconds, with what to do, and so is its end', async () => {
    const { clock, logger, call } = scene();
    await clock.during(call(20_000));
    assert.deepEqual(logger.messages(), [TOLD, OVER]);
    const { level, fields } = logger.matching(TOLD)[0]!;
    assert.equal(level, 'warn');
    assert.equal(fields['what'], 'write a/b');
    assert.equal(fields['hint'], 'wait');
    assert.ok((fields['failingForMs'] as number) < 10_000);
    const { fields: end } = logger.matching(OVER)[0]!;
    assert.ok((end['failedForMs'] as number) >= 20_000);
  });

  it('is not told when it is over within seconds', async () => {
    const { clock, logger, call } = scene();
    await clock.during(call(3_000));
    assert.deepEqual(logger.messages(), []);
  });

  it('is told once, however many calls it meets', async () => {
    const { clock, logger, call } = scene();
    await clock.during(Promise.all([call(20_000), call(20_000), call(20_000)]));
    assert.deepEqual(logger.messages(), [TOLD, OVER]);
  });

  it('is told again when it comes again', async () => {
    const { clock, logger, call } = scene();
    await clock.during(call(20_000));
    await clock.during(call(clock.monotonicMs() + 20_000));
    assert.deepEqual(logger.messages(), [TOLD, OVER, TOLD, OVER]);
  });

  it('is none while other calls work', async () => {
    const { clock, logger, retrier, call } = scene();
    const others = (async () => {
      for (let i = 0; i < 20; i++) {
        await clock.sleep(1_000);
        await retrier.run('read c', async () => undefined);
      }
    })();
    await clock.during(Promise.all([call(15_000), others]));
    assert.deepEqual(logger.messages(), []);
  });

  it('is left to the caller from the moment that a call has failed for good', async () => {
    const { clock, logger, call } = scene();
    await assert.rejects(clock.during(call(Number.POSITIVE_INFINITY)), /10 attempts/);
    await assert.rejects(clock.during(call(Number.POSITIVE_INFINITY)), /10 attempts/);
    await clock.during(call(0));
    assert.deepEqual(logger.messages(), [TOLD]);
  });
});

describe('a request that is not answered', () => {
  const WAITING = 'still waiting for an answer';

  it('is told of while it is waited for, and so is the end of it', async () => {
    const { clock, logger, retrier } = scene();
    const call = retrier.run('list a/', async () => retrier.whileWaiting('list a/', clock.sleep(15_000)));
    await clock.during(call);
    assert.deepEqual(logger.messages(), [WAITING, OVER]);
    assert.deepEqual(logger.lines[0]!.fields['what'], 'list a/');
    assert.match(String(logger.lines[0]!.fields['hint']), /firewall/);
  });

  it('is not told of when the answer comes within seconds, and leaves no timer', async () => {
    const { clock, logger, retrier } = scene();
    await clock.during(retrier.run('x', async () => retrier.whileWaiting('x', clock.sleep(5_000))));
    assert.deepEqual(logger.messages(), []);
    assert.equal(clock.sleeping, 0);
    const refused = retrier.whileWaiting('x', Promise.reject(new Error('refused')));
    await assert.rejects(refused, /refused/);
    assert.equal(clock.sleeping, 0);
  });
});
