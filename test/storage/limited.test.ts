import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { CallLane } from '../../src/storage/call-lane.ts';
import { limitedStore } from '../../src/storage/limited.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { conformance, gather } from './conformance.ts';

conformance(
  'limited to one call of each kind',
  async () => {
    const inner = new MemoryStore();
    inner.nowMs = Date.now();
    const store = limitedStore(inner, { smallCalls: 1, streams: 1, listings: 1 });
    return { store, dispose: async () => undefined };
  },
  { bigObjectBytes: 3_000_000 },
);

describe('call lane', () => {
  it('lets in so many, then one for each that leaves, in the order they came', async () => {
    const lane = new CallLane(2);
    const entered: number[] = [];
    for (let i = 0; i < 5; i++) void lane.enter().then(() => entered.push(i));
    await setImmediate();
    assert.deepEqual(entered, [0, 1]);
    assert.equal(lane.waiting, 3);
    for (const expected of [
      [0, 1, 2],
      [0, 1, 2, 3],
      [0, 1, 2, 3, 4],
    ]) {
      lane.leave();
      await setImmediate();
      assert.deepEqual(entered, expected);
    }
    for (let i = 0; i < 2; i++) lane.leave();
    await Promise.all([lane.enter(), lane.enter()]);
  });

  it('forgets who is cancelled while waiting, with the reason', async () => {
    const lane = new CallLane(1);
    await lane.enter();
    const controller = new AbortController();
    const reason = new Error('enough');
    const cancelled = lane.enter(controller.signal);
    const next = lane.enter();
    controller.abort(reason);
    await assert.rejects(cancelled, (error) => error === reason);
    assert.equal(lane.waiting, 1);
    lane.leave();
    await next;
    await assert.rejects(lane.enter(controller.signal), (error) => error === reason);
  });

  it('does not let a queue grow without end', async () => {
    const lane = new CallLane(1);
    await lane.enter();
    for (let i = 0; i < 10_000; i++) void lane.enter();
    await assert.rejects(lane.enter(), { code: 'STORAGE_FAILED' });
  });

  it('frees the place of work that failed', async () => {
    const lane = new CallLane(1);
    const failure = new Error('broken');
    await assert.rejects(
      lane.run(undefined, async () => Promise.reject(failure)),
      (error) => error === failure,
    );
    assert.equal(await lane.run(undefined, async () => 'free'), 'free');
  });

  it('refuses a number of places that lets nobody in', () => {
    for (const places of [0, -1, 1.5, Number.NaN]) assert.throws(() => new CallLane(places), RangeError);
  });
});

describe('limited store', () => {
  it('bounds the small calls under way, and keeps none back for longer than needed', async () => {
    const faulty = new FaultyStore(new MemoryStore());
    const controller = new AbortController();
    faulty.fault = () => 'hang';
    const store = limitedStore(faulty, { smallCalls: 3 });
    const { signal } = controller;
    const calls = Array.from({ length: 10 }, async (_, i) => store.readBytes(`${i}`, { signal }));
    const settled = Promise.allSettled(calls);
    await setImmediate();
    assert.deepEqual(faulty.keysOf('readBytes'), ['0', '1', '2']);
    controller.abort(new Error('enough'));
    await settled;
    faulty.fault = () => undefined;
    await Promise.all(Array.from({ length: 10 }, async (_, i) => store.write(`${i}`, Buffer.from('x'))));
    assert.equal((await gather(store.list(''))).length, 10);
  });

  it('lets segments and the lease pass streams that hang', async () => {
    const faulty = new FaultyStore(new MemoryStore());
    const controller = new AbortController();
    faulty.fault = ({ key }) => (key.startsWith('stream') ? 'hang' : undefined);
    const store = limitedStore(faulty, { smallCalls: 1, streams: 2 });
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
    }
    const { signal } = controller;
    const streams = Array.from({ length: 4 }, async (_, i) => store.write(`stream${i}`, body(), { signal }));
    const settled = Promise.allSettled(streams);
    await store.write('lease', Buffer.from('x'));
    assert.deepEqual(faulty.keysOf('write'), ['stream0', 'stream1', 'lease']);
    controller.abort(new Error('enough'));
    await settled;
  });

  it('takes the place of a read back when its reader stops, fails or never begins', async () => {
    const store = limitedStore(new MemoryStore(), { streams: 1, listings: 1 });
    await store.write('a', Buffer.from('content'));
    store.read('a');
    for await (const _ of store.read('a')) break;
    for await (const _ of store.list('')) break;
    await assert.rejects(gather(store.read('missing')));
    assert.equal(Buffer.concat(await gather(store.read('a'))).toString(), 'content');
    assert.equal((await gather(store.list(''))).length, 1);
  });

  it('does not make who goes through a listing wait for itself', async () => {
    const store = limitedStore(new MemoryStore(), { smallCalls: 1, streams: 1, listings: 1 });
    for (const key of ['a', 'b']) await store.write(key, Buffer.from(key));
    const found: string[] = [];
    for await (const { key } of store.list('')) {
      for await (const _ of store.read(key)) found.push(Buffer.from(await store.readBytes(key)).toString());
    }
    assert.deepEqual([...new Set(found)].sort(), ['a', 'b']);
  });
});
