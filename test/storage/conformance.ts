/**
 * What every object store must do, whatever lies behind it. A backend's test is one line that calls this, plus its own
 * faults.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { conditionalWrites } from './conformance/conditional-writes.ts';
import { largeObjects } from './conformance/large-objects.ts';
import {
  assertSameTime,
  chunks,
  infos,
  keyed,
  listed,
  readAll,
  writeAll,
} from './conformance/store-calls.ts';
import type { DeclareTest, Expectations } from './conformance/store-calls.ts';

export { gather } from './conformance/store-calls.ts';

export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Removes everything the store holds and lets go of it. */
  dispose(): Promise<void>;
}

export interface ConformanceOptions extends Partial<Expectations> {
  /** A test that takes longer has failed. */
  readonly timeoutMs?: number;
}

const DEFAULTS: Expectations = {
  clockToleranceMs: 5_000,
  writeTimeToleranceMs: 0,
  manyKeys: 1_500,
  bigObjectBytes: 40 * 1024 * 1024,
  racers: 16,
  backslashes: true,
};

/**
 * Declares the suite; `makeStore` gives each test an empty store of its own. A server is not needed for each: a store
 * over a fresh folder or key prefix of the same server is as good.
 */
export function conformance(
  name: string,
  makeStore: () => Promise<StoreUnderTest>,
  { timeoutMs = 120_000, ...given }: ConformanceOptions = {},
): void {
  const expected: Expectations = { ...DEFAULTS, ...given };
  const { clockToleranceMs } = expected;
  const test: DeclareTest = (title, run) => {
    it(title, { timeout: timeoutMs }, async (context) => {
      const made = await makeStore();
      try {
        await run(made.store, context);
      } finally {
        await made.dispose();
      }
    });
  };

  describe(`${name}: object store`, () => {
    test('is empty at first', async (store) => {
      assert.deepEqual(await listed(store, ''), []);
      assert.deepEqual(await listed(store, 'a/b/'), []);
      assert.deepEqual(await store.listFolders(''), []);
      assert.deepEqual(await store.listFolders('a/b/'), []);
    });

    test('says what it is', async (store) => {
      assert.match(store.type, /^[a-z0-9]+$/);
      assert.ok(store.location.length > 0);
    });

    test('gives back what was written, whole and streamed', async (store) => {
      for (const bytes of [Buffer.from('hello'), Buffer.alloc(0), randomBytes(3 * 1024 * 1024 + 17)]) {
        await store.write('a/whole', bytes);
        await store.write('a/streamed', chunks(bytes, 700_001));
        for (const key of ['a/whole', 'a/streamed']) {
          assert.ok(Buffer.from(await store.readBytes(key)).equals(bytes));
          assert.ok((await readAll(store, key)).equals(bytes));
          const right = await store.readBytes(key, { sizeHintBytes: bytes.length });
          assert.ok(Buffer.from(right).equals(bytes));
        }
      }
    });

    test('reads a whole object that is shorter than a listing said, and none that is longer', async (store) => {
      const bytes = randomBytes(10_000);
      await store.write('object', bytes);
      for (const sizeHintBytes of [10_000, 10_001, 50_000]) {
        assert.ok(
          Buffer.from(await store.readBytes('object', { sizeHintBytes })).equals(bytes),
          `${sizeHintBytes}`,
        );
      }
      for (const sizeHintBytes of [0, 1, 9_999]) {
        await assert.rejects(store.readBytes('object', { sizeHintBytes }), {
          code: 'REPLICA_INVALID',
          message: /^object at .* is longer than/,
        });
        await assert.rejects(store.readVersioned('object', { maxBytes: sizeHintBytes }), {
          code: 'REPLICA_INVALID',
        });
      }
      const versioned = await store.readVersioned('object', { maxBytes: 10_000 });
      assert.ok(Buffer.from(versioned.bytes).equals(bytes));
    });

    test('reads from an offset to the end', async (store) => {
      const bytes = randomBytes(1_500_000);
      await store.write('object', bytes);
      for (const offsetBytes of [0, 1, 1_048_576, 1_499_999, 1_500_000, 1_500_001, 9_000_000]) {
        assert.ok(
          (await readAll(store, 'object', { offsetBytes })).equals(bytes.subarray(offsetBytes)),
          `${offsetBytes}`,
        );
      }
    });

    test('reads a range, as much of it as there is', async (store) => {
      const bytes = randomBytes(300_000);
      await store.write('object', bytes);
      const offsets = [0, 1, 131_072, 299_999, 300_000, 300_001];
      for (const offsetBytes of offsets) {
        for (const lengthBytes of [0, 1, 2, 65_536, 300_000, 300_001, 5_000_000]) {
          const got = await readAll(store, 'object', { offsetBytes, lengthBytes });
          const wanted = bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
          assert.ok(got.equals(wanted), `${offsetBytes}+${lengthBytes}: ${got.length} bytes`);
        }
      }
      assert.ok((await readAll(store, 'object', { lengthBytes: 10 })).equals(bytes.subarray(0, 10)));
    });

    test('reads right whatever size was told', async (store) => {
      const bytes = randomBytes(100_000);
      await store.write('object', bytes);
      const hinted = await readAll(store, 'object', { sizeHintBytes: bytes.length });
      assert.ok(hinted.equals(bytes));
      const range = { offsetBytes: 50_000, lengthBytes: 10, sizeHintBytes: bytes.length };
      assert.ok((await readAll(store, 'object', range)).equals(bytes.subarray(50_000, 50_010)));
    });

    test('keeps empty objects', async (store) => {
      const empty = Buffer.alloc(0);
      async function* nothing(): AsyncGenerator<Uint8Array> {}
      async function* emptyChunks(): AsyncGenerator<Uint8Array> {
        yield empty;
        yield empty;
      }
      const bodies = { 'a/bytes': empty, 'a/nothing': nothing(), 'a/chunks': emptyChunks() };
      for (const [key, body] of Object.entries(bodies)) {
        assert.equal((await store.write(key, body)).sizeBytes, 0, key);
        assert.equal((await store.readBytes(key)).length, 0, key);
        assert.equal((await store.readBytes(key, { sizeHintBytes: 0 })).length, 0, key);
        assert.equal((await store.readVersioned(key)).bytes.length, 0, key);
        assert.equal((await readAll(store, key)).length, 0, key);
        assert.equal((await readAll(store, key, { sizeHintBytes: 0 })).length, 0, key);
        assert.equal((await readAll(store, key, { offsetBytes: 3 })).length, 0, key);
        assert.equal((await readAll(store, key, { lengthBytes: 3 })).length, 0, key);
      }
      assert.deepEqual(
        (await infos(store)).map((info) => info.sizeBytes),
        [0, 0, 0],
      );
      await store.remove(Object.keys(bodies));
      assert.deepEqual(await listed(store, ''), []);
    });

    test('reads an object with what names its content', async (store) => {
      const first = await store.write('object', Buffer.from('first'));
      const one = await store.readVersioned('object');
      assert.equal(Buffer.from(one.bytes).toString(), 'first');
      assertSameTime(first.modifiedAt, one.modifiedAt, expected.writeTimeToleranceMs);
      await store.write('object', Buffer.from('other'));
      const two = await store.readVersioned('object');
      assert.equal(Buffer.from(two.bytes).toString(), 'other');
      if (store.conditions !== 'compare-and-swap') return;
      assert.equal(typeof one.version, 'string');
      assert.equal(typeof two.version, 'string');
      assert.notEqual(one.version, two.version);
      if (first.version !== undefined) assert.equal(first.version, one.version);
    });

    test('lets a reader stop early', async (store) => {
      await store.write('object', randomBytes(3 * 1024 * 1024));
      for await (const chunk of store.read('object')) {
        assert.ok(chunk.length > 0);
        break;
      }
    });

    test('says that an object does not exist', async (store) => {
      const notFound = { name: 'RivuletError', code: 'STORAGE_NOT_FOUND' };
      await assert.rejects(store.readBytes('missing'), notFound);
      await assert.rejects(store.readBytes('missing', { sizeHintBytes: 5 }), notFound);
      await assert.rejects(readAll(store, 'missing'), notFound);
      await assert.rejects(readAll(store, 'missing', { offsetBytes: 5 }), notFound);
      await assert.rejects(readAll(store, 'missing', { offsetBytes: 5, lengthBytes: 5 }), notFound);
      await assert.rejects(readAll(store, 'no/such/folder'), notFound);
      await assert.rejects(store.readVersioned('missing'), notFound);
    });

    test('lists what is below a prefix, and only that', async (store) => {
      const keys = ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4', 'b/5', 'top'];
      await writeAll(store, keys);
      assert.deepEqual(await listed(store, ''), [...keys].sort());
      assert.deepEqual(await listed(store, 'a/'), ['a/1', 'a/b/2', 'a/b/c/3']);
      assert.deepEqual(await listed(store, 'a/b/'), ['a/b/2', 'a/b/c/3']);
      assert.deepEqual(await listed(store, 'c/'), []);
    });

    test('lists the folders directly under a prefix', async (store) => {
      await writeAll(store, ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4', 'top']);
      assert.deepEqual((await store.listFolders('')).sort(), ['a', 'ab']);
      assert.deepEqual((await store.listFolders('a/')).sort(), ['b']);
      assert.deepEqual(await store.listFolders('a/b/c/'), []);
    });

    test('lists and removes more than one page of keys, each once', async (store) => {
      const keys = Array.from({ length: expected.manyKeys }, (_, i) => `many/${keyed(i)}`);
      await writeAll(store, [...keys, 'other']);
      assert.deepEqual(await listed(store, 'many/'), keys);
      assert.deepEqual(await store.listFolders(''), ['many']);
      await store.remove(keys);
      assert.deepEqual(await listed(store, ''), ['other']);
    });

    test('lists more than one page of folders, each once', async (store) => {
      const folders = Array.from({ length: expected.manyKeys }, (_, i) => keyed(i));
      await writeAll(
        store,
        folders.map((folder) => `a/${folder}/object`),
      );
      assert.deepEqual((await store.listFolders('a/')).sort(), folders);
    });

    test('lets a listing stop early', async (store) => {
      await writeAll(store, ['a/1', 'a/2', 'b/3']);
      for await (const info of store.list('')) {
        assert.ok(info.sizeBytes > 0);
        break;
      }
    });

    test('takes odd names', async (store) => {
      const keys = [
        'a b/c d',
        'percent%20/100%',
        'plus+&=?#',
        'größe/Ω/漢字',
        'quote\'"`$(x)',
        '.hidden',
        'a..b',
        '-rf',
        '~tilde/back-slash',
        ...(expected.backslashes ? ['back\\slash'] : []),
        'a:b;c,d@e!',
        '[x]{y}^|<z>*',
        'e\u0301/\u00e9',
        '\u{1f600}',
        `${'long'.repeat(50)}/${'name'.repeat(50)}`,
      ];
      await writeAll(store, keys);
      assert.deepEqual(await listed(store, ''), [...keys].sort());
      for (const key of keys) {
        assert.equal(Buffer.from(await store.readBytes(key)).toString(), key);
        const folder = key.slice(0, key.lastIndexOf('/') + 1);
        if (folder !== '') assert.deepEqual(await listed(store, folder), [key]);
      }
      await store.remove(keys);
      assert.deepEqual(await listed(store, ''), []);
      if (expected.backslashes) return;
      await assert.rejects(async () => store.write('back\\slash', Buffer.from('x')), RangeError);
    });

    test('refuses keys and prefixes that could lead out of it', async (store) => {
      for (const key of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', './a', 'a\0b']) {
        await assert.rejects(async () => store.write(key, Buffer.alloc(1)), RangeError, key);
        await assert.rejects(async () => store.readBytes(key), RangeError, key);
        await assert.rejects(async () => store.readVersioned(key), RangeError, key);
        await assert.rejects(async () => readAll(store, key), RangeError, key);
        await assert.rejects(async () => store.remove([key]), RangeError, key);
      }
      await assert.rejects(async () => listed(store, 'a'), RangeError);
      await assert.rejects(async () => store.listFolders('../'), RangeError);
    });

    test('replaces an object', async (store) => {
      await store.write('object', Buffer.from('a first and longer content'));
      await store.write('object', Buffer.from('second'));
      assert.equal(Buffer.from(await store.readBytes('object')).toString(), 'second');
      assert.equal((await infos(store))[0]?.sizeBytes, 6);
    });

    test('tells size and time as a listing does', async (store) => {
      const before = Date.now();
      const small = await store.write('small', Buffer.from('12345'));
      const streamed = await store.write('streamed', chunks(Buffer.alloc(100_000), 999));
      const after = Date.now();
      const listing = new Map((await infos(store)).map((info) => [info.key, info]));
      for (const info of [small, streamed]) {
        const shown = listing.get(info.key);
        assert.equal(shown?.sizeBytes, info.sizeBytes);
        assertSameTime(info.modifiedAt, shown.modifiedAt, expected.writeTimeToleranceMs);
        assert.equal(
          shown.modifiedAt.getTime() % (store.timeStepMs ?? 1),
          0,
          'times are not in the steps that it says',
        );
        assert.ok(info.modifiedAt.getTime() >= before - clockToleranceMs, 'too early');
        assert.ok(info.modifiedAt.getTime() <= after + clockToleranceMs, 'too late');
      }
      assert.deepEqual([small.sizeBytes, streamed.sizeBytes], [5, 100_000]);
    });

    test('leaves nothing when the body throws midway, and throws the same error', async (store) => {
      const failure = new Error('the source broke');
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield randomBytes(100_000);
        throw failure;
      }
      await assert.rejects(store.write('a/b/object', broken()), (error) => error === failure);
      assert.deepEqual(await listed(store, ''), []);
      await store.write('kept', Buffer.from('old'));
      await assert.rejects(store.write('kept', broken()), (error) => error === failure);
      assert.equal(Buffer.from(await store.readBytes('kept')).toString(), 'old');
    });

    test('stops when it is aborted, with the reason of the signal', async (store) => {
      await store.write('a/object', Buffer.from('x'));
      const reason = new Error('enough');
      const signal = AbortSignal.abort(reason);
      const isReason = (error: unknown): boolean => error === reason;
      await assert.rejects(store.write('b', Buffer.from('x'), { signal }), isReason);
      await assert.rejects(store.readBytes('a/object', { signal }), isReason);
      await assert.rejects(readAll(store, 'a/object', { signal }), isReason);
      await assert.rejects(store.readVersioned('a/object', { signal }), isReason);
      await assert.rejects(listed(store, '', signal), isReason);
      await assert.rejects(store.listFolders('', { signal }), isReason);
      await assert.rejects(store.remove(['a/object'], { signal }), isReason);
      assert.deepEqual(await listed(store, ''), ['a/object']);
    });

    test('leaves nothing when it is aborted while the body hangs', async (store) => {
      const controller = new AbortController();
      const reason = new Error('enough');
      async function* hanging(): AsyncGenerator<Uint8Array> {
        yield randomBytes(10_000);
        setTimeout(() => controller.abort(reason), 20);
        await new Promise<never>(() => undefined);
      }
      const writing = store.write('a/object', hanging(), { signal: controller.signal });
      await assert.rejects(writing, (error) => error === reason);
      assert.deepEqual(await listed(store, ''), []);
    });

    test('removes objects; one that is not there counts as removed', async (store) => {
      await writeAll(store, ['a/1', 'a/2', 'b/3']);
      await store.remove(['a/1', 'b/3', 'never/was']);
      assert.deepEqual(await listed(store, ''), ['a/2']);
      await store.remove(['a/1']);
      await store.remove([]);
      await assert.rejects(store.readBytes('a/1'), { code: 'STORAGE_NOT_FOUND' });
    });

    test('keeps one whole object of many written to the same key at once', async (store) => {
      const bodies = Array.from({ length: 8 }, (_, i) => Buffer.alloc(200_000 + i, i));
      await Promise.all(
        bodies.map(async (body, i) => store.write('a/same', i % 2 === 0 ? body : chunks(body, 50_000))),
      );
      const stored = Buffer.from(await store.readBytes('a/same'));
      assert.ok(bodies.some((body) => body.equals(stored)));
      assert.deepEqual(await listed(store, ''), ['a/same']);
    });

    test('can be listed while objects come and go', async (store) => {
      await writeAll(
        store,
        Array.from({ length: 20 }, (_, i) => `kept/${i}`),
      );
      const churn = async (): Promise<void> => {
        for (let i = 0; i < 20; i++) {
          await store.write(`churn/${i}/object`, Buffer.from('x'));
          await store.remove([`churn/${i}/object`]);
        }
      };
      const churning = churn();
      try {
        for (let i = 0; i < 5; i++) {
          const kept = (await listed(store, '')).filter((key) => key.startsWith('kept/'));
          assert.equal(kept.length, 20);
        }
      } finally {
        await churning;
      }
    });

    conditionalWrites(test, expected);
    largeObjects(test, expected);
  });
}
