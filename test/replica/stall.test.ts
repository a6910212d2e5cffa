import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type StallFacts, type StallWatch, stallLimitMs, watchStall } from '../../src/replica/stall.ts';
import { UploadProgress } from '../../src/replica/upload-progress.ts';
import { MemoryStore } from '../support/memory-store.ts';

const LOOK_MS = 10_000;
const MINUTE = 60_000;

/** Looks at what `facts` says for so long; answers for how long it has stood still at the end of it. */
function after(ms: number, facts: (atMs: number) => Partial<StallFacts>, lookMs: number = LOOK_MS): number {
  let watch: StallWatch | undefined;
  for (let nowMs = 0; nowMs <= ms; nowMs += lookMs) {
    const seen = { hasWork: true, progress: '', gapMsMax: 2 * LOOK_MS, nowMs, ...facts(nowMs) };
    watch = watchStall(watch, seen);
  }
  return watch?.stillMs ?? Number.NaN;
}

test('work without progress counts from the first look on', () => {
  assert.equal(
    after(5 * MINUTE, () => ({})),
    5 * MINUTE,
  );
});

test('who has nothing to do never stands still', () => {
  assert.equal(
    after(24 * 60 * MINUTE, () => ({ hasWork: false })),
    0,
  );
});

test('work that comes after a long rest counts from then on only', () => {
  assert.equal(
    after(61 * MINUTE, (atMs) => ({ hasWork: atMs > 60 * MINUTE })),
    MINUTE,
  );
});

test('a step now and then is enough, however slow', () => {
  assert.ok(
    after(60 * MINUTE, (atMs) => ({ progress: String(Math.floor(atMs / (4 * MINUTE))) })) < 4 * MINUTE,
  );
});

test('after a step it counts anew', () => {
  assert.equal(
    after(9 * MINUTE, (atMs) => ({ progress: atMs < 5 * MINUTE ? 'a' : 'b' })),
    4 * MINUTE,
  );
});

test('a suspended machine or a clock that jumps makes no stall', () => {
  const jump = (atMs: number): number => (atMs > MINUTE ? 24 * 60 * MINUTE : 0);
  const stillMs = after(2 * MINUTE, (atMs) => ({ nowMs: atMs + jump(atMs) }));
  assert.ok(stillMs <= 2 * MINUTE + LOOK_MS, String(stillMs));
  assert.equal(
    after(MINUTE, (atMs) => ({ nowMs: -atMs })),
    0,
  );
});

test('a way that is as slow as may be has the time that it needs', () => {
  const limits = { stallAfterMs: 5 * MINUTE, spacingMs: 1_000, unseenMs: 0 };
  assert.equal(stallLimitMs(limits), 301_000);
  assert.equal(stallLimitMs({ ...limits, unseenMs: 100_000 }), 401_000);
  assert.equal(stallLimitMs({ ...limits, stallAfterMs: 0 }), Number.POSITIVE_INFINITY);
});

test('what is uploaded counts when it gets further than before, and all anew when something is stored', async () => {
  const progress = new UploadProgress();
  let pieces = 3;
  let pieceBytes = 10;
  const store = progress.watched(new MemoryStore(), (key) => key !== 'later');
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let n = 0; n < pieces; n++) yield new Uint8Array(pieceBytes);
    throw new Error('broken off');
  }
  const attempt = async (): Promise<number> => {
    const before = progress.steps;
    await assert.rejects(store.write('a', body()), /broken off/);
    return progress.steps - before;
  };
  assert.equal(await attempt(), 3);
  assert.equal(await attempt(), 0, 'the same place again is no progress');
  pieces = 5;
  assert.equal(await attempt(), 0, 'nor is a little further: it may be in a buffer');
  pieceBytes = 4 * 1024 * 1024;
  assert.equal(await attempt(), 3, 'further than any buffer holds');
  progress.stored();
  assert.equal(await attempt(), 5);
  const before = progress.steps;
  await assert.rejects(store.write('later', body()), /broken off/);
  assert.equal(progress.steps, before, 'what nothing waits for does not count');
  assert.equal(progress.unseenBytes, 0);
});

test('bytes that were handed over whole are unseen while they are under way', async () => {
  const progress = new UploadProgress();
  const memory = new MemoryStore();
  const held = Promise.withResolvers<void>();
  const slow = Object.assign(Object.create(memory) as MemoryStore, {
    write: async (...words: Parameters<MemoryStore['write']>) => {
      await held.promise;
      return memory.write(...words);
    },
  });
  const writing = progress.watched(slow, () => true).write('a', new Uint8Array(77));
  assert.equal(progress.unseenBytes, 77);
  held.resolve();
  await writing;
  assert.equal(progress.unseenBytes, 0);
});
