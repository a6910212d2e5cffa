import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type WatchdogFacts, type WatchdogWatch, watchMainThread } from '../../src/daemon/watchdog-rule.ts';

const LOOK_MS = 500;

/** Looks for so long at what `facts` says; when it was over, in milliseconds. */
function overAfter(
  ms: number,
  facts: (atMs: number) => Partial<WatchdogFacts>,
  lookMs: number = LOOK_MS,
): number | undefined {
  let watch: WatchdogWatch | undefined;
  for (let nowMs = 0; nowMs <= ms; nowMs += lookMs) {
    const seen = { nowMs, beats: 0, hangLimitMs: undefined, endLimitMs: undefined, ...facts(nowMs) };
    watch = watchMainThread(watch, seen, 2 * LOOK_MS);
    if (watch.isOver) return nowMs;
  }
  return undefined;
}

test('a main thread that gets no turn for longer than it may is over, one that beats is not', () => {
  assert.equal(
    overAfter(60_000, () => ({ hangLimitMs: 10_000 })),
    10_500,
  );
  assert.equal(
    overAfter(60_000, (atMs) => ({ hangLimitMs: 10_000, beats: Math.floor(atMs / 9_000) })),
    undefined,
  );
});

test('without a limit nobody is ended, however long it hangs', () => {
  assert.equal(
    overAfter(3_600_000, () => ({})),
    undefined,
  );
});

test('an end that takes longer than it may is over, beats or not, counted from when it was asked for', () => {
  const facts = (atMs: number): Partial<WatchdogFacts> => ({
    beats: atMs,
    endLimitMs: atMs < 60_000 ? undefined : 5_000,
  });
  assert.equal(overAfter(120_000, facts), 65_000);
});

test('a process that was stopped for an hour has as much time as before', () => {
  const limits = { hangLimitMs: 5_000, endLimitMs: 5_000 };
  assert.equal(
    overAfter(10_000, () => limits, 3_600_000),
    undefined,
    'one look after an hour',
  );
  const jump = (atMs: number): number => (atMs > 1_000 ? 3_600_000 : 0);
  assert.equal(
    overAfter(10_000, (atMs) => ({ ...limits, nowMs: atMs + jump(atMs) })),
    5_000,
  );
});
