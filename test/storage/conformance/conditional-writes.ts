/** Writes that happen only if nobody was faster: what immutable objects and the lease rest on. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { ObjectStore, WrittenObject } from '../../../src/storage/object-store.ts';
import { chunks, infos, listed, readAll, textOf } from './store-calls.ts';
import type { DeclareTest, Expectations } from './store-calls.ts';

const EXISTS = { name: 'RivuletError', code: 'STORAGE_EXISTS' };

/** Larger than what a backend would send in one request of an upload in parts. */
const IN_PARTS_BYTES = 17 * 1024 * 1024;

export function conditionalWrites(test: DeclareTest, { racers }: Expectations): void {
  /** A test for stores that can create only. */
  const creating: DeclareTest = (title, run) => {
    test(title, async (store, context) => {
      if (store.conditions === 'none') context.skip('the store has no conditional writes');
      else await run(store, context);
    });
  };
  /** A test for stores that can also replace only what is known. */
  const swapping: DeclareTest = (title, run) => {
    test(title, async (store, context) => {
      if (store.conditions === 'compare-and-swap') await run(store, context);
      else context.skip('the store cannot compare versions');
    });
  };

  creating('creates an object that is absent', async (store) => {
    const bytes = randomBytes(100_000);
    const small = await store.write('a/b/bytes', bytes, { onlyIf: 'absent' });
    const streamed = await store.write('a/b/streamed', chunks(bytes, 7_001), { onlyIf: 'absent' });
    assert.deepEqual([small.sizeBytes, streamed.sizeBytes], [bytes.length, bytes.length]);
    for (const key of ['a/b/bytes', 'a/b/streamed'])
      assert.ok(Buffer.from(await store.readBytes(key)).equals(bytes));
    assert.deepEqual(await listed(store, ''), ['a/b/bytes', 'a/b/streamed']);
  });

  creating('creates an empty object once', async (store) => {
    await store.write('object', Buffer.alloc(0), { onlyIf: 'absent' });
    await assert.rejects(store.write('object', Buffer.alloc(0), { onlyIf: 'absent' }), EXISTS);
    await assert.rejects(store.write('object', Buffer.from('x'), { onlyIf: 'absent' }), EXISTS);
    assert.equal((await store.readBytes('object')).length, 0);
  });

  creating('refuses to create an object that exists, and changes nothing', async (store) => {
    await store.write('object', Buffer.from('first'));
    const before = await infos(store);
    const large = randomBytes(IN_PARTS_BYTES);
    const bodies = [
      Buffer.from('second'),
      Buffer.alloc(0),
      chunks(Buffer.from('third'), 2),
      chunks(large, 1_000_003),
    ];
    for (const body of bodies)
      await assert.rejects(store.write('object', body, { onlyIf: 'absent' }), EXISTS);
    assert.equal(await textOf(store, 'object'), 'first');
    assert.deepEqual(await infos(store), before);
  });

  creating('creates an object again after its removal', async (store) => {
    await store.write('object', Buffer.from('first'), { onlyIf: 'absent' });
    await store.remove(['object']);
    await store.write('object', Buffer.from('second'), { onlyIf: 'absent' });
    assert.equal(await textOf(store, 'object'), 'second');
  });

  creating('lets one of many racing creators win', async (store) => {
    const bodyOf = (i: number): Buffer => Buffer.alloc(60_000 + i, i + 1);
    for (const key of ['a/first', 'a/second', 'b/third']) {
      const bodies = Array.from({ length: racers }, (_, i) => bodyOf(i));
      const outcomes = await race(bodies, async (body, i) =>
        store.write(key, i % 2 === 0 ? body : chunks(body, 20_000), { onlyIf: 'absent' }),
      );
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      assertOneWinner(outcomes);
      assert.ok(Buffer.from(await store.readBytes(key)).equals(bodyOf(winner)), key);
    }
    assert.deepEqual(await listed(store, ''), ['a/first', 'a/second', 'b/third']);
  });

  creating('lets one of several racing creators of a large object win', async (store) => {
    const bodyOf = (i: number): Buffer => Buffer.alloc(IN_PARTS_BYTES + i, i + 1);
    const outcomes = await race([bodyOf(0), bodyOf(1), bodyOf(2)], async (body) =>
      store.write('object', chunks(body, 1_000_003), { onlyIf: 'absent' }),
    );
    const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
    assertOneWinner(outcomes);
    assert.ok((await readAll(store, 'object')).equals(bodyOf(winner)));
    assert.deepEqual(await listed(store, ''), ['object']);
  });

  creating('leaves nothing of a creation whose body throws', async (store) => {
    const failure = new Error('the source broke');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield randomBytes(100_000);
      throw failure;
    }
    const writing = store.write('a/object', broken(), { onlyIf: 'absent' });
    await assert.rejects(writing, (error) => error === failure);
    assert.deepEqual(await listed(store, ''), []);
    await store.write('a/object', Buffer.from('x'), { onlyIf: 'absent' });
  });

  swapping('replaces the version that it was told, and no other', async (store) => {
    await store.write('object', Buffer.from('first'));
    const first = await versionOf(store, 'object');
    const written = await store.write('object', Buffer.from('second'), { onlyIf: { version: first } });
    const second = await versionOf(store, 'object');
    if (written.version !== undefined) assert.equal(written.version, second);
    await assert.rejects(store.write('object', Buffer.from('third'), { onlyIf: { version: first } }), EXISTS);
    assert.equal(await textOf(store, 'object'), 'second');
    assert.equal(await versionOf(store, 'object'), second);
    await store.write('object', Buffer.from('third'), { onlyIf: { version: second } });
    assert.equal(await textOf(store, 'object'), 'third');
  });

  swapping('refuses to replace an object that is gone', async (store) => {
    await store.write('object', Buffer.from('first'));
    const version = await versionOf(store, 'object');
    await store.remove(['object']);
    const writing = store.write('object', Buffer.from('second'), { onlyIf: { version } });
    await assert.rejects(writing, EXISTS);
    assert.deepEqual(await listed(store, ''), []);
  });

  swapping('refuses a version of another object', async (store) => {
    await store.write('one', Buffer.from('first'));
    await store.write('two', Buffer.from('other'));
    const version = await versionOf(store, 'one');
    await assert.rejects(store.write('two', Buffer.from('x'), { onlyIf: { version } }), EXISTS);
    assert.equal(await textOf(store, 'two'), 'other');
  });

  swapping('lets one of many racing swaps win, again and again', async (store) => {
    await store.write('object', Buffer.from('start'));
    for (let round = 0; round < 3; round++) {
      const version = await versionOf(store, 'object');
      const bodies = Array.from({ length: racers }, (_, i) => Buffer.from(`round ${round} racer ${i}`));
      const outcomes = await race(bodies, async (body) =>
        store.write('object', body, { onlyIf: { version } }),
      );
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      assertOneWinner(outcomes);
      assert.equal(await textOf(store, 'object'), `round ${round} racer ${winner}`);
    }
  });

  test('never ignores a version', async (store, context: TestContext) => {
    if (store.conditions === 'compare-and-swap') {
      context.skip('the store compares versions');
      return;
    }
    await store.write('object', Buffer.from('first'));
    const writing = async (): Promise<WrittenObject> =>
      store.write('object', Buffer.from('second'), { onlyIf: { version: 'any' } });
    await assert.rejects(writing, RangeError);
    assert.equal(await textOf(store, 'object'), 'first');
  });
}

async function versionOf(store: ObjectStore, key: string): Promise<string> {
  const { version } = await store.readVersioned(key);
  assert.ok(version !== undefined, 'a store that compares versions must tell them');
  return version;
}

async function race<T>(
  bodies: readonly T[],
  write: (body: T, index: number) => Promise<WrittenObject>,
): Promise<PromiseSettledResult<WrittenObject>[]> {
  return Promise.allSettled(bodies.map(async (body, index) => write(body, index)));
}

/** One was written; every other one was refused for that reason and no other. */
function assertOneWinner(outcomes: readonly PromiseSettledResult<WrittenObject>[]): void {
  const losers = outcomes.filter((outcome) => outcome.status === 'rejected');
  for (const { reason } of losers)
    assert.equal((reason as { code?: unknown }).code, 'STORAGE_EXISTS', reason);
  assert.equal(losers.length, outcomes.length - 1, 'exactly one may win');
}
