import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isRivuletError } from '../../src/base/errors.ts';
import { credentialsFailed } from '../../src/credentials/credentials-failed.ts';
import { KeyKeeper } from '../../src/credentials/keeper.ts';
import { mayRetry } from '../../src/storage/storage-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { ManualSource, failureOf, keysNumber, settle } from './support.ts';

const HOUR_MS = 3_600_000;

interface Scene {
  readonly clock: FakeClock;
  readonly source: ManualSource;
  readonly logger: RecordingLogger;
  readonly keeper: KeyKeeper;
}

function scene(): Scene {
  const clock = new FakeClock();
  const source = new ManualSource();
  const logger = new RecordingLogger();
  return { clock, source, logger, keeper: new KeyKeeper(source, { clock, logger, random: () => 1 }) };
}

/** A keeper that holds keys number 1. */
async function holding(lifeMs: number | undefined): Promise<Scene> {
  const made = scene();
  const first = made.keeper.current();
  await settle();
  await made.source.give(keysNumber(1, lifeMs === undefined ? undefined : made.clock.now() + lifeMs));
  await first;
  return made;
}

test('nobody is asked before the first request; many requests at once ask once', async () => {
  const { source, keeper } = scene();
  await settle();
  assert.equal(source.asked.length, 0);
  const all = Promise.all([keeper.current(), keeper.current(), keeper.current()]);
  await settle();
  assert.equal(source.asked.length, 1);
  await source.give(keysNumber(1));
  assert.deepEqual(
    (await all).map(({ accessKeyId }) => accessKeyId),
    ['AKIA-1', 'AKIA-1', 'AKIA-1'],
  );
});

test('keys of 15 minutes are refreshed 5 minutes before their end, while the old ones stay in use', async () => {
  const { clock, source, keeper } = await holding(15 * 60_000);
  clock.advance(9 * 60_000);
  await keeper.current();
  assert.equal(source.asked.length, 1);
  clock.advance(61_000);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-1');
  await settle();
  assert.equal(source.asked.length, 2);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-1');
  await source.give(keysNumber(2, clock.now() + 15 * 60_000));
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-2');
});

test('keys of 5 seconds rotate too, without a busy loop', async () => {
  const { clock, source, logger, keeper } = await holding(5_000);
  let number = 1;
  for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 100) {
    clock.advance(100);
    const keys = await keeper.current();
    assert.ok(keys.expiresAtMs! > clock.now(), `expired keys after ${elapsedMs} ms`);
    await settle();
    if (source.waiting > 0) await source.give(keysNumber(++number, clock.now() + 5_000));
  }
  assert.ok(number >= 20 && number <= 30, `${number} rotations`);
  assert.deepEqual(logger.messages(), ['credentials are at hand']);
  assert.equal(logger.matching('credentials rotated').length, number - 1);
});

test('while nobody asks, nothing happens', async () => {
  const { clock, source, keeper } = await holding(HOUR_MS);
  assert.equal(clock.sleeping, 0);
  clock.advance(10 * HOUR_MS);
  await settle();
  assert.equal(source.asked.length, 1);
  assert.equal(clock.sleeping, 0);
  const waited = keeper.current();
  await settle();
  await source.give(keysNumber(2, clock.now() + HOUR_MS));
  assert.equal((await waited).accessKeyId, 'AKIA-2');
});

test('a source that gives the same keys until their end is asked only a few times', async () => {
  const { clock, source, keeper } = await holding(HOUR_MS);
  const endMs = clock.now() + HOUR_MS;
  while (clock.now() < endMs - 1_000) {
    clock.advance(500);
    await keeper.current();
    await settle();
    if (source.waiting > 0) await source.give(keysNumber(1, endMs));
  }
  assert.ok(source.asked.length < 20, `asked ${source.asked.length} times`);
});

test('a failure with valid keys is tried again at growing distances; the log warns once and says when it is over', async () => {
  const { clock, source, logger, keeper } = await holding(HOUR_MS);
  clock.advance(50 * 60_000);
  const askedAt: number[] = [];
  for (let elapsedMs = 0; elapsedMs < 300_000; elapsedMs += 250) {
    assert.equal((await keeper.current()).accessKeyId, 'AKIA-1');
    await settle();
    if (source.waiting > 0) {
      askedAt.push(elapsedMs);
      await source.fail(credentialsFailed('the test', 'it is away'));
    }
    clock.advance(250);
  }
  assert.ok(askedAt.length >= 8 && askedAt.length < 20, `asked at ${askedAt.join()}`);
  const warnings = logger.messages('warn');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /cannot be refreshed.*the test: it is away/);
  assert.match(keeper.status.lastError!, /it is away/);
  clock.advance(60_000);
  await keeper.current();
  await settle();
  await source.give(keysNumber(2, clock.now() + HOUR_MS));
  assert.equal(logger.messages('info').at(-1), 'credentials are at hand again');
  assert.equal(keeper.status.lastError, undefined);
});

test('without keys from the beginning a failure is told at once, with the source and the reason', async () => {
  const { source, keeper } = scene();
  const failure = failureOf(keeper.current());
  await settle();
  await source.fail(new Error('nobody listens there'));
  const error = await failure;
  assert.ok(isRivuletError(error, 'CREDENTIALS_FAILED'));
  assert.ok(mayRetry(error));
  assert.equal(error.message, 'no credentials from the test: nobody listens there');
});

test('with expired keys callers wait for a source that comes back within seconds', async () => {
  const { clock, source, keeper } = await holding(5_000);
  clock.advance(6_000);
  const waiting = Promise.all([keeper.current(), keeper.current()]);
  for (let round = 0; round < 12; round++) {
    await settle();
    if (source.waiting > 0) await source.fail(credentialsFailed('the test', 'it is away'));
    clock.advance(500);
  }
  await settle();
  if (source.waiting === 0) clock.advance(2_000);
  await settle();
  await source.give(keysNumber(2, clock.now() + 5_000));
  assert.deepEqual(
    (await waiting).map(({ accessKeyId }) => accessKeyId),
    ['AKIA-2', 'AKIA-2'],
  );
});

test('with expired keys and a source that stays away, callers are told after about ten seconds', async () => {
  const { clock, source, keeper } = await holding(5_000);
  clock.advance(6_000);
  const startedMs = clock.monotonicMs();
  const told: { failure?: Error } = {};
  const waiting = failureOf(keeper.current()).then((error) => (told.failure = error));
  let attempts = 0;
  while (told.failure === undefined && clock.monotonicMs() - startedMs < 60_000) {
    await settle();
    if (source.waiting > 0) {
      attempts++;
      await source.fail(credentialsFailed('the test', 'it is away'));
    }
    clock.advance(250);
  }
  await waiting;
  assert.ok(isRivuletError(told.failure, 'CREDENTIALS_FAILED'));
  const tookMs = clock.monotonicMs() - startedMs;
  assert.ok(tookMs >= 10_000 && tookMs < 14_000, `${tookMs} ms`);
  assert.ok(attempts >= 5 && attempts < 15, `${attempts} attempts`);
});

test('in their last moment keys are refreshed first, and used all the same when that fails', async () => {
  const { clock, source, keeper } = await holding(HOUR_MS);
  clock.advance(HOUR_MS - 500);
  const asked = keeper.current();
  await settle();
  await source.fail(credentialsFailed('the test', 'it is away'));
  assert.equal((await asked).accessKeyId, 'AKIA-1');
});

test('keys that are expired as they come point at the clock', async () => {
  const { clock, source, keeper } = scene();
  const failure = failureOf(keeper.current());
  await settle();
  await source.give(keysNumber(1, clock.now() - 90_000));
  const error = await failure;
  assert.match(error.message, /gave keys that expired 90 s ago/);
  assert.match(error.hint!, /clock/);
});

test('a refusal asks once for many callers, and tells whether there are other keys', async () => {
  const { source, keeper } = await holding(undefined);
  const used = keysNumber(1);
  const all = Promise.all([keeper.renew(used), keeper.renew(used), keeper.renew(used)]);
  await settle();
  assert.equal(source.asked.length, 2);
  assert.deepEqual(source.asked[1]!.refused, used);
  await source.give(keysNumber(2));
  assert.deepEqual(await all, [true, true, true]);
  assert.equal(await keeper.renew(used), true, 'newer ones are at hand');
  assert.equal(source.asked.length, 2);
});

test('keys that go on being refused make the source asked ever less often', async () => {
  const { clock, source, keeper } = await holding(undefined);
  let asked = 0;
  for (let elapsedMs = 0; elapsedMs < 120_000; elapsedMs += 200) {
    const renewed = keeper.renew(keysNumber(1));
    await settle();
    if (source.waiting > 0) {
      asked++;
      await source.give(keysNumber(1));
    }
    assert.equal(await renewed, false);
    clock.advance(200);
  }
  assert.ok(asked >= 4 && asked <= 9, `asked ${asked} times`);
});

test('a refusal that comes while the source is asked already asks once more when that brought nothing new', async () => {
  const { clock, source, keeper } = await holding(10_000);
  clock.advance(6_000);
  await keeper.current();
  await settle();
  const renewed = keeper.renew(keysNumber(1));
  await source.give(keysNumber(1, clock.now() + 4_000));
  assert.equal(source.asked.length, 3);
  await source.give(keysNumber(2, clock.now() + 10_000));
  assert.equal(await renewed, true);
});

test('a refusal whose question fails is no new key, and no exception', async () => {
  const { source, keeper } = await holding(undefined);
  const renewed = keeper.renew(keysNumber(1));
  await settle();
  await source.fail(credentialsFailed('the test', 'it is away'));
  assert.equal(await renewed, false);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-1');
});

test('what a file holds now is waited for when the old keys may have ended unseen', async () => {
  const { source, keeper } = await holding(undefined);
  source.isChanged = true;
  const asked = keeper.current();
  await settle();
  source.isChanged = false;
  await source.give(keysNumber(2));
  assert.equal((await asked).accessKeyId, 'AKIA-2');
});

test('a changed file that cannot be read yet delays nobody for long', async () => {
  const { clock, source, keeper } = await holding(undefined);
  source.isChanged = true;
  const asked = keeper.current();
  await settle();
  clock.advance(300);
  assert.equal((await asked).accessKeyId, 'AKIA-1');
  await source.give(keysNumber(2));
  source.isChanged = false;
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-2');
});

test('reload asks although the keys are fresh, and keeps them when it fails', async () => {
  const { source, logger, keeper } = await holding(HOUR_MS);
  const reloading = keeper.reload();
  await settle();
  assert.equal(source.asked[1]!.reload, true);
  await source.fail(credentialsFailed('the test', 'it is away'));
  await reloading;
  assert.match(logger.messages('warn')[0]!, /not reloaded.*it is away/);
  assert.equal((await keeper.current()).accessKeyId, 'AKIA-1');
});

test('a caller that is cancelled leaves the others waiting', async () => {
  const { source, keeper } = scene();
  const cancel = new AbortController();
  const gone = failureOf(keeper.current(cancel.signal));
  const other = keeper.current();
  await settle();
  cancel.abort(new Error('enough'));
  assert.equal((await gone).message, 'enough');
  await source.give(keysNumber(1));
  assert.equal((await other).accessKeyId, 'AKIA-1');
});

test('a source that never answers is given up, and asked again', async () => {
  const { clock, source, keeper } = scene();
  const failure = failureOf(keeper.current());
  await settle();
  clock.advance(90_000);
  assert.match((await failure).message, /no answer within 90 s/);
  void keeper.current().catch(() => undefined);
  await settle();
  clock.advance(2_000);
  await settle();
  assert.equal(source.asked.length, 2);
  await keeper.close();
});

test('whoever waits for a source without keys is told for which, once', async () => {
  const { clock, source, logger, keeper } = scene();
  const all = Promise.all([keeper.current(), keeper.current()]);
  await settle();
  clock.advance(7_900);
  await settle();
  assert.deepEqual(logger.messages(), []);
  clock.advance(100);
  await settle();
  clock.advance(60_000);
  await settle();
  assert.deepEqual(logger.messages(), ['waiting for credentials: their source does not answer']);
  assert.deepEqual(logger.lines[0]!.fields, { source: 'the test', waitedMs: 8_000 });
  await source.give(keysNumber(1));
  await all;
});

test('a source that is slow while there are keys is nothing to tell', async () => {
  const { clock, source, logger, keeper } = await holding(HOUR_MS);
  const reloading = keeper.reload();
  await settle();
  clock.advance(30_000);
  await settle();
  await source.give(keysNumber(2));
  await reloading;
  assert.deepEqual(logger.messages('warn'), []);
});

test('closing stops what is under way and leaves no timer', async () => {
  const { clock, source, keeper } = scene();
  const failure = failureOf(keeper.current());
  await settle();
  await keeper.close();
  assert.ok(isRivuletError(await failure, 'CANCELLED'));
  assert.equal(clock.sleeping, 0);
  assert.ok(source.closed);
  assert.ok(isRivuletError(await failureOf(keeper.current()), 'CANCELLED'));
});

test('an error that carries a secret of the keys at hand does not show it', async () => {
  const { source, logger, keeper } = await holding(undefined);
  const { secretAccessKey, sessionToken } = keysNumber(1);
  const reloading = keeper.reload();
  await settle();
  await source.fail(credentialsFailed('the test', `bad ${secretAccessKey} and ${sessionToken}`));
  await reloading;
  const told = JSON.stringify([logger.lines, keeper.status]);
  assert.ok(told.includes('bad [hidden] and [hidden]'), told);
  assert.ok(!told.includes(secretAccessKey));
});

test('a refusal looks at a file that has changed, however soon after the last one', async () => {
  const { source, keeper } = await holding(undefined);
  const first = keeper.renew(keysNumber(1));
  await settle();
  await source.give(keysNumber(1));
  assert.equal(await first, false);
  assert.equal(await keeper.renew(keysNumber(1)), false);
  assert.equal(source.asked.length, 2);
  source.isChanged = true;
  const second = keeper.renew(keysNumber(1));
  await settle();
  await source.give(keysNumber(2));
  assert.equal(await second, true);
});

/** A keeper whose keys, without a known end, have been replaced so often, each after so long; now it has number `times` + 1. */
async function rotating(times: number, everyMs: number): Promise<Awaited<ReturnType<typeof holding>>> {
  const holder = await holding(undefined);
  for (let number = 2; number <= times + 1; number++) {
    holder.clock.advance(everyMs);
    holder.source.isChanged = true;
    const next = holder.keeper.current();
    await settle();
    holder.source.isChanged = false;
    await holder.source.give(keysNumber(number));
    await next;
  }
  return holder;
}

test('keys of a file that are refused after others should have come are waited for, by all at once', async () => {
  const { clock, source, keeper } = await rotating(3, 60_000);
  clock.advance(30_000);
  const early = keeper.renew(keysNumber(4));
  await settle();
  await source.give(keysNumber(4));
  assert.equal(await early, false, 'a matter of permissions');
  clock.advance(60_000);
  const late = Promise.all([keeper.renew(keysNumber(4)), keeper.renew(keysNumber(4))]);
  await settle();
  await source.give(keysNumber(4));
  for (let round = 0; round < 20; round++) {
    clock.advance(250);
    await settle();
  }
  assert.equal(source.asked.length, 6, 'looking at the file is not asking');
  source.isChanged = true;
  clock.advance(250);
  await settle();
  source.isChanged = false;
  await source.give(keysNumber(5));
  clock.advance(250);
  assert.deepEqual(await late, [true, true]);
  assert.equal(clock.sleeping, 0);
});

/** Keys that are refused long after the last of `times` changes, one a second; their source has the same ones again. */
async function refusedLate(times: number): Promise<{ clock: FakeClock; renewed: Promise<boolean> }> {
  const { clock, source, keeper } = await rotating(times, 1_000);
  clock.advance(10_000);
  const renewed = keeper.renew(keysNumber(times + 1));
  await settle();
  await source.give(keysNumber(times + 1));
  return { clock, renewed };
}

test('one change is no habit: wrong keys that somebody wrote are refused at once', async () => {
  const { clock, renewed } = await refusedLate(1);
  assert.equal(await renewed, false);
  assert.equal(clock.sleeping, 0);
});

test('a file that does not change is not waited for without end', async () => {
  const { clock, renewed } = await refusedLate(3);
  for (let round = 0; round < 60; round++) {
    clock.advance(200);
    await settle();
  }
  assert.equal(await renewed, false);
  assert.equal(clock.sleeping, 0);
});
