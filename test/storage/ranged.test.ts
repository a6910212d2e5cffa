import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { RivuletError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { ObjectStore, ReadOptions } from '../../src/storage/object-store.ts';
import { rangedStore } from '../../src/storage/ranged.ts';
import type { RangeOptions } from '../../src/storage/ranged.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import { retryingStore } from '../../src/storage/retrying.ts';
import { storageFailed } from '../../src/storage/storage-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FlakyStore } from '../support/flaky-store.ts';
import type { Trouble } from '../support/flaky-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { conformance, gather } from './conformance.ts';

const SMALL: RangeOptions = { thresholdBytes: 1_000, rangeBytes: 1_000, rangesAtOnce: 3 };

conformance(
  'in ranges',
  async () => {
    const inner = new MemoryStore();
    inner.nowMs = Date.now();
    const options = { thresholdBytes: 50_000, rangeBytes: 30_011, rangesAtOnce: 3 };
    return { store: rangedStore(inner, options), dispose: async () => undefined };
  },
  { bigObjectBytes: 3_000_000 },
);

/** A store of one object, whose ranges come when a test lets them. */
class HeldStore extends MemoryStore {
  readonly asked: number[] = [];
  readonly ended: unknown[] = [];
  /** Called when a range begins; the range goes on when it resolves. */
  hold: (offsetBytes: number) => Promise<void> = async () => undefined;

  override async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const { offsetBytes = 0, signal } = options;
    this.asked.push(offsetBytes);
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => undefined);
    signal?.addEventListener('abort', () => aborted.reject(signal.reason));
    try {
      await Promise.race([this.hold(offsetBytes), aborted.promise]);
      yield* super.read(key, options);
    } finally {
      this.ended.push(offsetBytes);
    }
  }
}

function held(sizeBytes: number): { inner: HeldStore; store: ObjectStore; bytes: Buffer } {
  const inner = new HeldStore();
  const bytes = randomBytes(sizeBytes);
  inner.put('a', bytes);
  return { inner, bytes, store: rangedStore(inner, SMALL) };
}

const forever = async (): Promise<never> => new Promise<never>(() => undefined);

describe('ranged store', () => {
  it('reads small objects, and those of unknown size, in one request', async () => {
    const { inner, bytes, store } = held(10_000);
    for (const options of [{}, { sizeHintBytes: 1_000 }, { sizeHintBytes: 10_000, offsetBytes: 9_100 }]) {
      inner.asked.length = 0;
      const got = Buffer.concat(await gather(store.read('a', options)));
      assert.ok(got.equals(bytes.subarray(('offsetBytes' in options ? options.offsetBytes : 0) ?? 0)));
      assert.equal(inner.asked.length, 1);
    }
  });

  it('keeps a few ranges under way, and gives them out in order', async () => {
    const { inner, bytes, store } = held(10_500);
    // Later ranges come sooner.
    inner.hold = async (offsetBytes) => {
      for (let i = offsetBytes; i < 10_000; i += 500) await setImmediate();
    };
    const got: Uint8Array[] = [];
    for await (const chunk of store.read('a', { sizeHintBytes: 10_500 })) {
      got.push(chunk);
      assert.ok(inner.asked.length - inner.ended.length <= 3);
    }
    assert.ok(Buffer.concat(got).equals(bytes));
    assert.deepEqual(inner.asked, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000]);
  });

  it('does not run ahead of a slow reader', async () => {
    const { inner, store } = held(10_000);
    const iterator = store.read('a', { sizeHintBytes: 10_000 })[Symbol.asyncIterator]();
    await iterator.next();
    for (let i = 0; i < 50; i++) await setImmediate();
    assert.deepEqual(inner.asked, [0, 1_000, 2_000]);
    await iterator.return?.();
  });

  it('closes every range when the reader stops early', async () => {
    const { inner, store } = held(10_000);
    inner.hold = async (offsetBytes) => (offsetBytes === 0 ? undefined : forever());
    for await (const _ of store.read('a', { sizeHintBytes: 10_000 })) break;
    assert.deepEqual(inner.ended, [0, 1_000, 2_000]);
  });

  it('fails at once when one range fails, and closes the others', async () => {
    const { inner, store } = held(10_000);
    const failure = storageFailed('this range is broken', { retry: false });
    inner.hold = async (offsetBytes) => (offsetBytes === 2_000 ? Promise.reject(failure) : forever());
    const reading = gather(store.read('a', { sizeHintBytes: 10_000 }));
    await assert.rejects(reading, (error) => error === failure);
    assert.deepEqual(new Set(inner.ended), new Set([0, 1_000, 2_000]));
  });

  it('says that there is no such object', async () => {
    const { store } = held(10);
    await assert.rejects(gather(store.read('b', { sizeHintBytes: 10_000 })), { code: 'STORAGE_NOT_FOUND' });
  });

  it('fails, rather than leaving a hole, when the object is shorter than was told', async () => {
    const { store } = held(5_500);
    const reading = gather(store.read('a', { sizeHintBytes: 10_000 }));
    await assert.rejects(reading, {
      code: 'STORAGE_FAILED',
      message: /bytes came at byte \d+, expected 1000/,
    });
  });

  it('gives exact bytes or an error, whatever the network does', async () => {
    const trouble: fc.Arbitrary<Trouble | undefined> = fc.oneof(
      fc.constant(undefined),
      fc.constant<Trouble>('before'),
      fc.constant<Trouble>('lost-answer'),
      fc.nat(400).map((breaksAfter) => ({ breaksAfter })),
      fc.nat(400).map((endsAfter) => ({ endsAfter })),
    );
    let exact = 0;
    let failed = 0;
    const property = fc.asyncProperty(
      fc.uint8Array({ maxLength: 2_000, size: 'max' }),
      fc.record({ offsetBytes: fc.nat(2_100), lengthBytes: fc.option(fc.nat(2_100), { nil: undefined }) }),
      fc.record({
        thresholdBytes: fc.nat(500),
        rangeBytes: fc.integer({ min: 1, max: 400 }),
        rangesAtOnce: fc.integer({ min: 1, max: 5 }),
      }),
      fc.array(trouble, { maxLength: 60, size: 'max' }),
      fc.integer({ min: 1, max: 6 }),
      async (bytes, { offsetBytes, lengthBytes }, ranges, troubles, attemptsMax) => {
        const memory = new MemoryStore();
        memory.put('a', bytes);
        const clock = new FakeClock();
        const flaky = new FlakyStore(memory, () => troubles.shift());
        const retrier = new StorageRetrier({ clock, logger: silentLogger }, { attemptsMax });
        const store = rangedStore(retryingStore(flaky, retrier, clock), ranges);
        const length = lengthBytes === undefined ? {} : { lengthBytes };
        const reading = gather(store.read('a', { offsetBytes, ...length, sizeHintBytes: bytes.length }));
        try {
          const end = offsetBytes + (lengthBytes ?? bytes.length);
          const got = Buffer.concat(await clock.during(reading));
          assert.deepEqual(got, Buffer.from(bytes.subarray(offsetBytes, end)));
          exact++;
        } catch (error) {
          assert.ok(error instanceof RivuletError && error.code === 'STORAGE_FAILED', String(error));
          failed++;
        }
        assert.ok(clock.monotonicMs() < 3_600_000);
      },
    );
    await fc.assert(property, { numRuns: 300 });
    assert.ok(
      exact > 20 && failed > 20,
      `${exact} exact, ${failed} failed: the troubles are too many or too few`,
    );
  });
});
