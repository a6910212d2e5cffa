import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { RivuletError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import { retryingStore } from '../../src/storage/retrying.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FlakyStore, passingTrouble } from '../support/flaky-store.ts';
import type { Trouble } from '../support/flaky-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { onceEach } from '../support/once-each.ts';
import { conformance, gather } from './conformance.ts';

/** A store whose calls meet the given troubles one after another, and none afterwards. */
function scene(troubles: (Trouble | undefined)[], inner: ObjectStore = new MemoryStore()) {
  const clock = new FakeClock();
  const flaky = new FlakyStore(inner, () => troubles.shift());
  const retrier = new StorageRetrier({ clock, logger: silentLogger });
  return { clock, flaky, store: retryingStore(flaky, retrier, clock) };
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await gather(source));
}

/** A store of which some methods are a test's own. */
function storeWith(methods: Partial<ObjectStore>): ObjectStore {
  const inner = new MemoryStore();
  return new Proxy(inner, {
    get: (target, name) => {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The same sequence on each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

conformance(
  'tried again over a bad network',
  async () => {
    const inner = new MemoryStore();
    inner.nowMs = Date.now();
    const random = seeded(20_260_101);
    const trouble = (call: string): Trouble | undefined => {
      const kind = Math.floor(random() * 8);
      if (kind === 0) return 'before';
      if (kind === 1) return 'lost-answer';
      if (kind > 3 || (call !== 'read' && call !== 'list')) return undefined;
      return { breaksAfter: Math.floor(random() * 500_000) };
    };
    const tools = { clock: systemClock, logger: silentLogger };
    const retrier = new StorageRetrier(tools, { firstWaitMs: 0.01, waitMaxMs: 0.1, attemptsMax: 30 });
    const store = onceEach(retryingStore(new FlakyStore(inner, trouble), retrier, systemClock));
    return { store, dispose: async () => undefined };
  },
  { bigObjectBytes: 3_000_000 },
);

describe('retrying store', () => {
  it('shows no trouble any more once a read has all that was asked for, however its last attempt ended', async () => {
    const clock = new FakeClock();
    const shown: unknown[] = [];
    const onTrouble = (error: unknown): void => void shown.push(error);
    const retrier = new StorageRetrier({ clock, logger: silentLogger, onTrouble });
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('all');
      throw passingTrouble();
    }
    const store = retryingStore(storeWith({ read: breaking }), retrier, clock);
    const read = await clock.during(bytesOf(store.read('a', { lengthBytes: 3 })));
    assert.equal(read.toString(), 'all');
    assert.equal(shown.length, 2);
    assert.equal(shown.at(-1), undefined);
  });

  it('makes whole calls again', async () => {
    const { clock, flaky, store } = scene(
      Array(20)
        .fill(undefined)
        .flatMap(() => ['before', undefined]),
    );
    const work = (async () => {
      await store.write('a/b', Buffer.from('x'));
      assert.equal(Buffer.from(await store.readBytes('a/b')).toString(), 'x');
      assert.equal(Buffer.from((await store.readVersioned('a/b')).bytes).toString(), 'x');
      assert.deepEqual(await store.listFolders(''), ['a']);
      await store.remove(['a/b']);
      assert.deepEqual(await gather(store.list('')), []);
    })();
    await clock.during(work);
    assert.equal(flaky.calls, 12);
  });

  describe('a creation whose answer was lost', () => {
    it('was its own when the object holds its bytes', async () => {
      const inner = new MemoryStore();
      const { clock, store } = scene(['lost-answer'], inner);
      const written = await clock.during(store.write('a', Buffer.from('mine'), { onlyIf: 'absent' }));
      const { version, modifiedAt } = await inner.readVersioned('a');
      assert.deepEqual(written, { key: 'a', sizeBytes: 4, modifiedAt, version, foundWritten: true });
    });

    it('was its own too when reading back fails at first', async () => {
      const { clock, store } = scene(['lost-answer', undefined, 'before', undefined, 'before']);
      const written = await clock.during(store.write('a', Buffer.from('mine'), { onlyIf: 'absent' }));
      assert.equal(written.foundWritten, true);
    });

    it('lost against another when the object holds other bytes', async () => {
      for (const theirs of ['theirs', 'more', 'not']) {
        const inner = new MemoryStore();
        const { clock, store } = scene(['before'], inner);
        const writing = store.write('a', Buffer.from('mine'), { onlyIf: 'absent' });
        inner.put('a', Buffer.from(theirs));
        await assert.rejects(clock.during(writing), { code: 'STORAGE_EXISTS' });
        assert.equal(Buffer.from(inner.bytesOf('a')).toString(), theirs);
      }
    });

    it('is refused at the first attempt even by the same bytes', async () => {
      const inner = new MemoryStore();
      inner.put('a', Buffer.from('same'));
      const { store } = scene([], inner);
      const writing = store.write('a', Buffer.from('same'), { onlyIf: 'absent' });
      await assert.rejects(writing, { code: 'STORAGE_EXISTS' });
    });

    it('stays refused when the object is gone by the time it is read back', async () => {
      const inner = new MemoryStore();
      const flaky = storeWith({
        readVersioned: async (key) => {
          await inner.remove([key]);
          return inner.readVersioned(key);
        },
        write: async (key, body, options) => inner.write(key, body, options),
      });
      const { clock, store } = scene(['lost-answer'], flaky);
      const writing = store.write('a', Buffer.from('mine'), { onlyIf: 'absent' });
      await assert.rejects(clock.during(writing), { code: 'STORAGE_EXISTS' });
    });
  });

  it('knows its own swap whose answer was lost, and that of another', async () => {
    for (const isOwn of [true, false]) {
      const inner = new MemoryStore();
      inner.put('a', Buffer.from('old'));
      const version = (await inner.readVersioned('a')).version ?? '';
      const { clock, store } = scene([isOwn ? 'lost-answer' : 'before'], inner);
      const writing = store.write('a', Buffer.from('new'), { onlyIf: { version } });
      if (!isOwn) inner.put('a', Buffer.from('theirs'));
      if (isOwn) {
        const written = await clock.during(writing);
        assert.equal(written.version, (await inner.readVersioned('a')).version);
      } else await assert.rejects(clock.during(writing), { code: 'STORAGE_EXISTS' });
    }
  });

  it('does not make a streamed write again, whose body is gone', async () => {
    let writes = 0;
    const inner = storeWith({
      write: async () => {
        writes++;
        throw passingTrouble();
      },
    });
    const { store } = scene([], inner);
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
    }
    await assert.rejects(store.write('a', body()), { message: 'the network is in trouble' });
    assert.equal(writes, 1);
  });

  describe('a read that breaks off', () => {
    const bytes = randomBytes(10_000);

    it('goes on at the byte where it was', async () => {
      const inner = new MemoryStore();
      inner.put('a', bytes);
      const ranges: { offsetBytes?: number; lengthBytes?: number }[] = [
        {},
        { offsetBytes: 123 },
        { offsetBytes: 123, lengthBytes: 8_000 },
      ];
      for (const range of ranges) {
        const asked: unknown[] = [];
        const noted = storeWith({
          read: (key, options) => {
            asked.push([options?.offsetBytes ?? 0, options?.lengthBytes]);
            return inner.read(key, options);
          },
        });
        const { clock, store } = scene([{ breaksAfter: 3_000 }, 'before', { breaksAfter: 3_000 }], noted);
        const { offsetBytes = 0, lengthBytes = 10_000 } = range;
        const got = await clock.during(bytesOf(store.read('a', range)));
        assert.ok(got.equals(bytes.subarray(offsetBytes, offsetBytes + lengthBytes)));
        assert.equal(asked.length, 3);
      }
    });

    it('may break off any number of times while something comes', async () => {
      const inner = new MemoryStore();
      inner.put('a', bytes);
      const { clock, flaky, store } = scene(
        Array.from({ length: 1_000 }, () => ({ breaksAfter: 800 })),
        inner,
      );
      assert.ok((await clock.during(bytesOf(store.read('a')))).equals(bytes));
      assert.ok(flaky.calls > 12, `${flaky.calls}`);
    });

    it('fails when nothing comes any more', async () => {
      const inner = new MemoryStore();
      inner.put('a', bytes);
      const { clock, store } = scene([{ breaksAfter: 800 }, ...Array<Trouble>(100).fill('before')], inner);
      await assert.rejects(clock.during(bytesOf(store.read('a'))), { message: /10 attempts/ });
    });

    it('says that the object is gone by now', async () => {
      const inner = new MemoryStore();
      inner.put('a', bytes);
      const { clock, store } = scene([{ breaksAfter: 3_000 }], inner);
      const reading = (async () => {
        for await (const _ of store.read('a')) await inner.remove(['a']);
      })();
      await assert.rejects(clock.during(reading), { code: 'STORAGE_NOT_FOUND' });
    });

    it('goes on after an end that came too early', async () => {
      const inner = new MemoryStore();
      inner.put('a', bytes);
      const { clock, store } = scene([{ endsAfter: 3_000 }, { endsAfter: 3_000 }], inner);
      const got = await clock.during(bytesOf(store.read('a', { sizeHintBytes: bytes.length })));
      assert.ok(got.equals(bytes));
    });

    it('fails, rather than being short, when the object is smaller than it was said to be', async () => {
      const inner = new MemoryStore();
      inner.put('a', bytes);
      const { clock, flaky, store } = scene([], inner);
      const reading = bytesOf(store.read('a', { sizeHintBytes: bytes.length + 1 }));
      await assert.rejects(clock.during(reading), { message: /10000 bytes came, expected 10001/ });
      assert.equal(flaky.calls, 2);
    });
  });

  it('begins a listing again that broke off, and gives every object', async () => {
    const inner = new MemoryStore();
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
    for (const key of keys) inner.put(key, Buffer.from('x'));
    const { clock, store } = scene([{ breaksAfter: 10 }, 'before', { breaksAfter: 20 }], inner);
    const listed = (await clock.during(gather(store.list('')))).map(({ key }) => key);
    assert.deepEqual([...new Set(listed)].sort(), keys.sort());
    // What came before is no progress: else a server that always breaks off would be asked for ever.
    const never = scene(
      Array.from({ length: 100 }, () => ({ breaksAfter: 10 })),
      inner,
    );
    await assert.rejects(never.clock.during(gather(never.store.list(''))), { message: /10 attempts/ });
  });

  describe('a destination that falls silent', () => {
    const silence = async (): Promise<never> => new Promise<never>(() => undefined);

    it('is asked again, also when it does not hear that it is to stop', async () => {
      let calls = 0;
      const inner = storeWith({
        readBytes: async () => (++calls < 2 ? silence() : Buffer.from('at last')),
      });
      const { clock, store } = scene([], inner);
      const bytes = await clock.during(store.readBytes('a', { sizeHintBytes: 100 }));
      assert.equal(Buffer.from(bytes).toString(), 'at last');
      assert.equal(calls, 2);
    });

    it('fails in the end', async () => {
      const { clock, store } = scene([], storeWith({ listFolders: silence }));
      await assert.rejects(clock.during(store.listFolders('a/')), (error: RivuletError) => {
        assert.match(error.message, /^cannot list a\/ at flaky:: nothing has moved for 60 s \(\d attempts/);
        return error.code === 'STORAGE_FAILED';
      });
      assert.ok(clock.monotonicMs() < 300_000, `${clock.monotonicMs()}`);
    });

    it('loses no byte of a read', async () => {
      const inner = new MemoryStore();
      const bytes = randomBytes(1_000);
      inner.put('a', bytes);
      let calls = 0;
      const hanging = storeWith({
        read: async function* (key, options) {
          for await (const chunk of inner.read(key, options)) {
            yield chunk;
            if (++calls === 1) await silence();
          }
        },
      });
      const { clock, store } = scene([], hanging);
      assert.ok((await clock.during(bytesOf(store.read('a')))).equals(bytes));
    });

    it('ends a streamed write, but not one whose body is slow', async () => {
      async function* slow(clock: FakeClock): AsyncGenerator<Uint8Array> {
        for (let i = 0; i < 3; i++) {
          await clock.sleep(3_600_000);
          yield Buffer.from('x');
        }
      }
      const patient = scene([]);
      const written = await patient.clock.during(patient.store.write('a', slow(patient.clock)));
      assert.equal(written.sizeBytes, 3);
      const silent = scene([], storeWith({ write: untilAborted }));
      await assert.rejects(silent.clock.during(silent.store.write('a', slow(silent.clock))), {
        code: 'STORAGE_FAILED',
        message: /nothing has moved for 600 s/,
      });
    });

    it('leaves no timer behind', async () => {
      const { clock, store } = scene([]);
      await store.write('a', Buffer.from('x'));
      for await (const _ of store.read('a')) break;
      await gather(store.read('a'));
      await gather(store.list(''));
      await new Promise(setImmediate);
      assert.equal(clock.sleeping, 0);
    });
  });
});

async function untilAborted(
  _key: string,
  _body: unknown,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<never> {
  return new Promise<never>((_, reject) => {
    options.signal?.addEventListener('abort', () => reject(new Error('aborted')));
  });
}
