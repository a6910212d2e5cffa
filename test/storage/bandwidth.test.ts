import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { Bandwidth, TINY_BYTES, pacedStore } from '../../src/storage/bandwidth.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { conformance, gather } from './conformance.ts';

const MEGABYTE = 1_000_000;

conformance(
  'held to a bandwidth',
  async () => {
    const inner = new MemoryStore();
    inner.nowMs = Date.now();
    const uploads = new Bandwidth(200 * MEGABYTE, systemClock);
    const downloads = new Bandwidth(200 * MEGABYTE, systemClock);
    return { store: pacedStore(inner, { uploads, downloads }), dispose: async () => undefined };
  },
  { bigObjectBytes: 3_000_000 },
);

async function* body(sizeBytes: number, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= chunkBytes) yield Buffer.alloc(Math.min(left, chunkBytes));
}

/** How long `work` takes, in seconds of the clock. */
async function secondsOf(clock: FakeClock, work: Promise<unknown>): Promise<number> {
  const startMs = clock.monotonicMs();
  await clock.during(work);
  return (clock.monotonicMs() - startMs) / 1000;
}

function assertNear(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not about ${expected}`);
}

describe('bandwidth', () => {
  it('holds streams, whole objects and reads to the rate', async () => {
    const clock = new FakeClock();
    const memory = new MemoryStore();
    memory.put('large', Buffer.alloc(10 * MEGABYTE));
    const caps = { uploads: new Bandwidth(MEGABYTE, clock), downloads: new Bandwidth(MEGABYTE, clock) };
    const store = pacedStore(memory, caps);
    assertNear(await secondsOf(clock, store.write('a', body(10 * MEGABYTE, 70_000))), 10, 0.5);
    assertNear(await secondsOf(clock, store.write('b', Buffer.alloc(5 * MEGABYTE))), 5, 0.5);
    assertNear(await secondsOf(clock, gather(store.read('large'))), 10, 0.5);
    assertNear(await secondsOf(clock, store.readBytes('large')), 10, 0.5);
    assertNear(await secondsOf(clock, store.readVersioned('large')), 10, 0.5);
  });

  it('is the same for chunks of any size', async () => {
    const rate = 100_000;
    for (const chunkBytes of [100, 999, 65_536, 5 * rate]) {
      const clock = new FakeClock();
      const store = pacedStore(new MemoryStore(), { uploads: new Bandwidth(rate, clock) });
      assertNear(await secondsOf(clock, store.write('a', body(2 * rate, chunkBytes))), 2, 0.5);
    }
  });

  it('is shared, and fairly', async () => {
    const clock = new FakeClock();
    const store = pacedStore(new MemoryStore(), { uploads: new Bandwidth(MEGABYTE, clock) });
    const endedAtMs: number[] = [];
    const writes = [body(4 * MEGABYTE, 300_000), body(4 * MEGABYTE, 1_000), Buffer.alloc(4 * MEGABYTE)].map(
      async (content, i) => {
        await store.write(`${i}`, content);
        endedAtMs.push(clock.monotonicMs());
      },
    );
    assertNear(await secondsOf(clock, Promise.all(writes)), 12, 0.5);
    // The small chunks of one take turns with the large ones of the others, so they get less, and not nothing.
    assert.ok(Math.min(...endedAtMs) > 7_000, endedAtMs.join(' '));
  });

  it('lets tiny objects pass while a large one waits, and takes what they cost from it', async () => {
    const clock = new FakeClock();
    const store = pacedStore(new MemoryStore(), { uploads: new Bandwidth(MEGABYTE, clock) });
    const large = store.write('large', body(10 * MEGABYTE, 50_000));
    const lease = (async () => {
      let waitedMs = 0;
      for (let i = 0; i < 100; i++) {
        await clock.sleep(50);
        const startMs = clock.monotonicMs();
        await store.write('lease', Buffer.alloc(TINY_BYTES));
        waitedMs += clock.monotonicMs() - startMs;
      }
      assert.equal(waitedMs, 0);
    })();
    assertNear(await secondsOf(clock, Promise.all([large, lease])), 10.4, 0.5);
  });

  it('is not stopped for long by any number of tiny objects', async () => {
    const clock = new FakeClock();
    const cap = new Bandwidth(1_000, clock);
    for (let i = 0; i < 10_000; i++) cap.charge(TINY_BYTES);
    assertNear(await secondsOf(clock, cap.take(1_000)), 11, 0.5);
  });

  it('does not save up unused time', async () => {
    const clock = new FakeClock();
    const cap = new Bandwidth(MEGABYTE, clock);
    clock.advance(3_600_000);
    assertNear(await secondsOf(clock, cap.take(5 * MEGABYTE)), 5, 0.5);
  });

  it('ends at once when it is cancelled, and gives back what it did not send', async () => {
    const clock = new FakeClock();
    const cap = new Bandwidth(1_000, clock);
    const controller = new AbortController();
    const reason = new Error('enough');
    const waiting = cap.take(1_000_000, controller.signal);
    const outcome = assert.rejects(waiting, (error) => error === reason);
    while (clock.sleeping === 0) await new Promise(setImmediate);
    controller.abort(reason);
    await outcome;
    assert.equal(clock.sleeping, 0);
    assert.ok((await secondsOf(clock, cap.take(1_000))) < 1);
  });

  it('works at rates that are tiny or fractions', async () => {
    const clock = new FakeClock();
    assertNear(await secondsOf(clock, new Bandwidth(1, clock).take(30)), 30, 1.5);
    for (const rate of [0, -1, Number.NaN]) assert.throws(() => new Bandwidth(rate, clock), RangeError);
  });

  it('leaves a store without a cap as it is', () => {
    const memory = new MemoryStore();
    assert.equal(pacedStore(memory, {}), memory);
  });
});
