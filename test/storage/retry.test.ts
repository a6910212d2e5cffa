import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RivuletError } from '../../src/base/errors.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import type { RetryPolicy } from '../../src/storage/retry.ts';
import { objectNotFound, storageFailed } from '../../src/storage/storage-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { until } from '../support/until.ts';

function scene(policy: Partial<RetryPolicy> = {}, random = 1) {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const retrier = new StorageRetrier({ clock, logger, random: () => random }, policy);
  return { clock, logger, retrier };
}

const trouble = (facts: Partial<Parameters<typeof storageFailed>[1]> = {}): RivuletError =>
  storageFailed('cannot write a/b: 503', { retry: true, ...facts });

describe('retrier', () => {
  it('tries again with growing waits until it works, telling each attempt its number', async () => {
    const { clock, logger, retrier } = scene();
    const numbers: number[] = [];
    const work = retrier.run('write a/b', async (number) => {
      numbers.push(number);
      if (number < 6) throw trouble();
      return 'done';
    });
    assert.equal(await clock.during(work), 'done');
    assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(clock.sleeps, [200, 400, 800, 1_600, 3_200]);
    assert.deepEqual(logger.messages('debug'), Array(5).fill('trying again'));
    assert.deepEqual(logger.lines[1]?.fields, {
      what: 'write a/b',
      attempt: 2,
      waitMs: 400,
      error: 'cannot write a/b: 503',
    });
    assert.deepEqual(logger.messages(), []);
  });

  it('begins nothing that was given up before', async () => {
    const { clock, retrier } = scene();
    let attempts = 0;
    const work = retrier.run('x', async () => attempts++, AbortSignal.abort(new Error('given up')));
    await assert.rejects(clock.during(work), /given up/);
    assert.equal(attempts, 0);
  });

  it('is in no trouble any more with a call that is given up between a wait and the next attempt', async () => {
    const clock = new FakeClock();
    const told: unknown[] = [];
    const onTrouble = (error: unknown): void => void told.push(error);
    const retrier = new StorageRetrier({ clock, logger: new RecordingLogger(), random: () => 1, onTrouble });
    const end = new AbortController();
    const error = trouble();
    const work = retrier.run('x', async () => Promise.reject(error), end.signal);
    await until('it waits', () => clock.sleeping === 1);
    clock.advance(200);
    end.abort(new Error('given up'));
    await assert.rejects(work, /given up/);
    assert.deepEqual(told, [error, undefined]);
  });

  it('tells of the trouble that is left when that came, not when another one ended', async () => {
    const clock = new FakeClock();
    const told: [unknown, number][] = [];
    const onTrouble = (...facts: [unknown, number]): void => void told.push(facts);
    const retrier = new StorageRetrier({ clock, logger: new RecordingLogger(), random: () => 1, onTrouble });
    const startMs = clock.now();
    const [long, short] = [trouble({ retryAfterMs: 9_000 }), trouble()];
    const once = async (number: number, error: Error): Promise<void> => {
      if (number === 1) throw error;
    };
    const left = retrier.run('x', async (number) => once(number, long));
    await until('it waits', () => clock.sleeping === 1);
    clock.advance(1_000);
    const ended = retrier.run('y', async (number) => once(number, short));
    await until('both wait', () => clock.sleeping === 2);
    clock.advance(200);
    await ended;
    assert.deepEqual(told, [
      [long, startMs],
      [short, startMs + 1_000],
      [long, startMs],
    ]);
    await clock.during(left);
  });

  it('spreads the waits between half and the whole of the bound', async () => {
    const { clock, retrier } = scene({}, 0);
    await clock.during(retrier.run('x', async (number) => (number < 4 ? Promise.reject(trouble()) : 0)));
    assert.deepEqual(clock.sleeps, [100, 200, 400]);
  });

  it('does not try again what cannot help, and throws the very same error', async () => {
    const errors = [
      objectNotFound('s3://bucket', 'a'),
      storageFailed('denied', { code: 'STORAGE_DENIED', retry: false }),
      new RivuletError('STORAGE_EXISTS', 'exists'),
      new TypeError('a bug'),
    ];
    for (const wanted of errors) {
      const { clock, retrier } = scene();
      let attempts = 0;
      const work = retrier.run('x', async () => {
        attempts++;
        throw wanted;
      });
      await assert.rejects(work, (error) => error === wanted);
      assert.equal(attempts, 1);
      assert.deepEqual(clock.sleeps, []);
    }
  });

  it('tries refusals again that may pass, as after credentials have changed', async () => {
    for (const code of ['STORAGE_DENIED', 'CREDENTIALS_FAILED'] as const) {
      const { clock, retrier } = scene();
      const work = retrier.run('x', async (n) => (n === 1 ? Promise.reject(trouble({ code })) : n));
      assert.equal(await clock.during(work), 2);
    }
  });

  it('waits longer when the server asks for fewer requests', async () => {
    const { clock, retrier } = scene();
    const work = retrier.run('x', async (n) => (n < 4 ? Promise.reject(trouble({ throttled: true })) : n));
    await clock.during(work);
    assert.deepEqual(clock.sleeps, [1_000, 2_000, 4_000]);
  });

  it('waits as long as the server asks, within bounds', async () => {
    const { clock, retrier } = scene();
    const answers = [7_000, 1, 86_400_000];
    const work = retrier.run('x', async (n) => {
      const retryAfterMs = answers[n - 1];
      if (retryAfterMs !== undefined) throw trouble({ retryAfterMs });
    });
    await clock.during(work);
    assert.deepEqual(clock.sleeps, [7_000, 400, 60_000]);
  });

  it('gives up after so many attempts, with the last error and their number', async () => {
    const { clock, retrier } = scene({ attemptsMax: 4 });
    const errors: RivuletError[] = [];
    const work = retrier.run('x', async (number) => {
      errors.push(
        storageFailed(`trouble ${number}`, { retry: true, hint: 'wait', details: { status: 503 } }),
      );
      throw errors.at(-1);
    });
    await assert.rejects(clock.during(work), (error: RivuletError) => {
      assert.equal(error.code, 'STORAGE_FAILED');
      assert.equal(error.message, 'trouble 4 (4 attempts in 1 s)');
      assert.equal(error.hint, 'wait');
      assert.equal(error.cause, errors[3]);
      assert.deepEqual(error.details, { status: 503, retry: true, throttled: false, attempts: 4 });
      return true;
    });
    assert.equal(errors.length, 4);
  });

  it('begins no attempt after the deadline, and does not wait for it', async () => {
    const { clock, retrier } = scene({ attemptsMax: 1_000 });
    const work = retrier.run('x', async () => {
      throw trouble();
    });
    await assert.rejects(clock.during(work), /attempts in \d+ s/);
    assert.ok(clock.monotonicMs() > 60_000 && clock.monotonicMs() <= 120_000, `${clock.monotonicMs()}`);
  });

  it('counts the time of the attempts themselves', async () => {
    const { clock, retrier } = scene();
    let attempts = 0;
    const work = retrier.run('x', async () => {
      attempts++;
      await clock.sleep(50_000);
      throw trouble();
    });
    await assert.rejects(clock.during(work));
    assert.equal(attempts, 3);
  });

  it('counts anew after progress', async () => {
    const { clock, retrier } = scene({ attemptsMax: 3 });
    const attempts = retrier.begin('x');
    const work = (async () => {
      for (let i = 0; i < 20; i++) {
        await attempts.failed(trouble());
        await attempts.failed(trouble());
        attempts.progressed();
      }
    })();
    await clock.during(work);
    assert.deepEqual(clock.sleeps.slice(-2), [200, 400]);
    await clock.during(attempts.failed(trouble()));
    await clock.during(attempts.failed(trouble()));
    await assert.rejects(attempts.failed(trouble()), /3 attempts/);
  });

  it('ends at once when it is cancelled while it waits, with the reason', async () => {
    const { clock, retrier } = scene();
    const controller = new AbortController();
    const reason = new Error('enough');
    const work = retrier.run('x', async () => Promise.reject(trouble()), controller.signal);
    const outcome = assert.rejects(work, (error) => error === reason);
    while (clock.sleeping === 0) await new Promise(setImmediate);
    controller.abort(reason);
    await outcome;
    assert.equal(clock.sleeping, 0);
    assert.equal(clock.monotonicMs(), 0);
  });

  it('says what was tried when the time was over', async () => {
    const { clock, retrier } = scene();
    const controller = new AbortController();
    const work = retrier.run('x', async () => Promise.reject(trouble()), controller.signal);
    const outcome = assert.rejects(work, (error: RivuletError) => {
      assert.equal(error.code, 'CANCELLED');
      assert.equal(error.message, 'too late');
      assert.equal((error.cause as Error).message, 'cannot write a/b: 503');
      return true;
    });
    while (clock.sleeping === 0) await new Promise(setImmediate);
    controller.abort(new RivuletError('CANCELLED', 'too late'));
    await outcome;
  });

  it('makes no attempt when it is cancelled already', async () => {
    const { retrier } = scene();
    const reason = new Error('enough');
    const work = retrier.run('x', async () => assert.fail('an attempt'), AbortSignal.abort(reason));
    await assert.rejects(work, (error) => error === reason);
  });
});

describe('retrier without credentials', () => {
  const without = storageFailed('no credentials', { code: 'CREDENTIALS_FAILED', retry: true });

  it('gives up sooner where a person waits, and only for want of credentials', async () => {
    for (const [error, leastMs, mostMs] of [
      [without, 4_000, 8_000],
      [trouble(), 30_000, 120_000],
    ] as const) {
      const { clock, retrier } = scene({ keysDeadlineMs: 8_000 });
      await assert.rejects(clock.during(retrier.run('x', async () => Promise.reject(error))));
      const took = clock.monotonicMs();
      assert.ok(took >= leastMs && took <= mostMs, `${took}`);
    }
  });

  it('goes on for as long as with any other failure where nobody does', async () => {
    const { clock, retrier } = scene();
    await assert.rejects(clock.during(retrier.run('x', async () => Promise.reject(without))));
    assert.ok(clock.monotonicMs() > 30_000);
  });
});
