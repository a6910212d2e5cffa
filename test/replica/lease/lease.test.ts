/** One writer at a time, whatever processes, clocks and answers do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fencedStore } from '../../../src/replica/lease/fenced-store.ts';
import { decodeLease, encodeLease } from '../../../src/generations/lease-record.ts';
import { LEASE_KEY, openRegister } from '../../../src/storage/open-register.ts';
import { objectExists, storageFailed } from '../../../src/storage/storage-error.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { DURATION_MS, LeaseScene, randomGeneration, watch, type Writer } from '../../support/lease-scene.ts';
import { steppedStore } from '../../support/steps.ts';

const G1 = '1111111111111111';
const G2 = '2222222222222222';
const DATA = Buffer.from('data');

/** A write through the fence. */
async function put({ lease, store }: Writer, key: string): Promise<void> {
  await fencedStore(store, lease).write(key, DATA);
}

function requests({ store }: Writer): number {
  return store.calls.length;
}

/** `contended`: read as it was and replaced as it is, so no attempt succeeds. `forgetful`: the answer is lost. */
class OddStore extends MemoryStore {
  lease: 'well' | 'contended' | 'forgetful' = 'well';

  override async write(...call: Parameters<MemoryStore['write']>): ReturnType<MemoryStore['write']> {
    const isLease = call[0] === LEASE_KEY;
    if (isLease && this.lease === 'contended') throw objectExists(this.location, LEASE_KEY);
    const written = await super.write(...call);
    if (isLease && this.lease === 'forgetful') throw storageFailed('the answer was lost', { retry: true });
    return written;
  }
}

describe('the lease', () => {
  it('that cannot be renewed says nothing of the object that was to be written', async () => {
    using scene = new LeaseScene();
    const store = new OddStore();
    const a = scene.writer('a', {}, { store });
    await a.lease.hold(G1, true);
    await scene.pass(2 * DURATION_MS);
    store.lease = 'contended';
    await assert.rejects(put(a, 'x'), { code: 'STORAGE_FAILED', message: /cannot renew the lease/ });
    store.lease = 'well';
    await put(a, 'x');
    await a.lease.release();
  });

  it('taken over by a swap whose answer is lost: what the other one has written to is not continued', async () => {
    using scene = new LeaseScene();
    const store = new OddStore();
    const a = scene.writer('a', {}, { store });
    await a.lease.hold(G1, true);
    await a.lease.release();
    const again = scene.writer('a', {}, { store });
    const other = scene.writer('b', {}, { store });
    assert.equal(await other.lease.hold(G2, true), 'go-on');
    await other.lease.release();
    store.lease = 'forgetful';
    await assert.rejects(again.lease.hold(G1, true), { code: 'STORAGE_FAILED' });
    store.lease = 'well';
    assert.equal(await again.lease.hold(G1, true), 'begin-anew');
    await again.lease.release();
  });

  it('is taken at once where there is none, and says who has it', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    assert.equal(await a.lease.hold(G1, true), 'go-on');
    const record = await scene.record();
    assert.deepEqual(
      [record?.state, record?.epoch, record?.database, record?.host, record?.generations],
      ['held', 1, '/a.db', 'host-a', [G1]],
    );
    await put(a, 'x');
    await a.lease.release();
    assert.equal((await scene.record())?.state, 'released');
    await assert.rejects(a.lease.ensure(), { code: 'LEASE_LOST' });
  });

  it('costs two requests at a start like the ones before', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    await a.lease.release();
    const again = scene.writer('a');
    await again.lease.hold(G1, true);
    assert.equal(requests(again), 2);
    await again.lease.release();
  });

  it('a restart in the same place takes its own lease back at once and goes on', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const again = scene.writer('a');
    assert.equal(await again.lease.hold(G1, false), 'go-on');
    assert.equal((await scene.record())?.epoch, 1);
    await assert.rejects(a.lease.name(G2), { code: 'LEASE_LOST' });
    await again.lease.release();
  });

  it('the same state on another machine may be a copy: it waits, and does not continue the history', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const copy = scene.writer('copy', {}, { metaName: 'a', host: 'elsewhere' });
    await assert.rejects(copy.lease.hold(G1, false), { code: 'LEASE_HELD' });
    const waiting = watch(copy.lease.hold(G1, true));
    await scene.pass(DURATION_MS * 3);
    assert.equal(waiting.value, undefined, 'parked while it was looked at');
    await a.lease.release();
    await scene.pass(DURATION_MS);
    // Its database went on beside this one.
    assert.equal(waiting.value, 'begin-anew');
    await copy.lease.release();
  });

  it('another one is told who holds it and until when, and gets it when it is released', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a', { renew: 'always' });
    const b = scene.writer('b');
    await a.lease.hold(G1, true);
    await assert.rejects(b.lease.hold(G2, false), {
      code: 'LEASE_HELD',
      message: new RegExp(
        `process ${process.pid} on host-a \\(database /a.db\\), since 2026-01-01.* until 2026-01-01T00:01:00`,
      ),
    });
    const waiting = watch(b.lease.hold(G2, true));
    await scene.pass(DURATION_MS * 5);
    assert.deepEqual(
      [waiting.value, b.lease.status.phase, b.lease.status.holder?.host],
      [undefined, 'standby', 'host-a'],
    );
    assert.equal(b.logger.matching('waiting as a standby').length, 1, 'said once');
    await a.lease.release();
    await scene.pass(DURATION_MS / 3 + 1_000);
    assert.equal(waiting.value, 'go-on');
    assert.deepEqual([(await scene.record())?.epoch, (await scene.record())?.generations], [2, [G2]]);
    await b.lease.release();
  });

  it('whoever shall not wait is told at once', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const b = scene.writer('b', { whenHeld: 'exit' });
    await assert.rejects(b.lease.hold(G2, true), { code: 'LEASE_HELD' });
    await a.lease.release();
  });

  it('a holder that died is waited for, no longer than needed', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    // Its process is gone: nothing of it happens any more.
    a.store.fault = () => 'fail';
    const b = scene.writer('b');
    const waiting = watch(b.lease.hold(G2, true));
    await scene.pass(DURATION_MS + 9_000);
    assert.equal(waiting.value, undefined);
    await scene.pass(3_000);
    assert.equal(waiting.value, 'go-on');
    assert.equal(b.logger.matching('has expired; taking over').length, 1);
    await b.lease.release();
  });

  it('one that expired long ago by every clock is watched all the same: clocks may be wrong', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    a.store.fault = () => 'fail';
    scene.clock.advance(DURATION_MS + 5 * 60_000 + 2_000);
    scene.memory.nowMs += DURATION_MS + 5 * 60_000 + 2_000;
    const b = scene.writer('b');
    const waiting = watch(b.lease.hold(G2, 'while-silent'));
    await scene.pass(DURATION_MS + 9_000);
    assert.equal(waiting.value, undefined);
    await scene.pass(3_000);
    assert.equal(waiting.value, 'go-on');
    await b.lease.release();
  });

  it('parks when nothing is written, makes no request then, and goes on with the next write', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    await put(a, 'x');
    await scene.pass(DURATION_MS);
    assert.equal((await scene.record())?.state, 'parked');
    const before = requests(a);
    await scene.pass(10 * DURATION_MS, 10_000);
    assert.equal(requests(a), before, 'idle costs nothing');
    await put(a, 'y');
    assert.deepEqual([(await scene.record())?.state, (await scene.record())?.epoch], ['held', 1]);
    assert.equal(requests(a) - before, 2, 'the lease, and the object');
    await a.lease.release();
  });

  it('while something is written it is renewed three times a duration, not more', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const count = (): number => a.store.keysOf('write').filter((key) => key === LEASE_KEY).length;
    const before = count();
    for (let second = 0; second < 120; second++) {
      await put(a, `object-${second}`);
      await scene.pass(1_000);
    }
    assert.ok(
      count() - before >= 5 && count() - before <= 7,
      `${count() - before} renewals in two durations`,
    );
    assert.equal((await scene.record())?.state, 'held');
    await a.lease.release();
  });

  it('an idle one is taken over by a process that starts, not by one that saw it alive', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const standby = scene.writer('s');
    const standing = watch(standby.lease.hold(G2, true));
    await scene.pass(20 * DURATION_MS, 5_000);
    assert.equal(standing.value, undefined);
    assert.equal(standby.logger.matching('waiting until it lets go').length, 1);
    const late = scene.writer('late');
    const taking = watch(late.lease.hold('3333333333333333', true));
    await scene.pass(DURATION_MS + 12_000);
    assert.equal(taking.value, 'go-on');
    const [line] = late.logger.matching('taking over from it');
    assert.deepEqual([line?.level, line?.fields['host']], ['warn', 'host-a']);
    await assert.rejects(put(a, 'x'), {
      code: 'LEASE_LOST',
      message: /taken over by process \d+ on host-late/,
    });
    assert.equal(scene.memory.objects.has('x'), false, 'nothing was written');
    await late.lease.release();
  });

  it('a process that slept past its lease finds out at its next write, and never takes it back from a living one', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a', { renew: 'always' });
    await a.lease.hold(G1, true);
    // Frozen: its timers do not fire, which here means that its store does not answer.
    a.store.fault = () => 'fail';
    const b = scene.writer('b', { renew: 'always' });
    const taking = watch(b.lease.hold(G2, true));
    await scene.pass(DURATION_MS + 12_000);
    assert.equal(taking.value, 'go-on');
    a.store.fault = () => undefined;
    await assert.rejects(put(a, 'x'), { code: 'LEASE_LOST' });
    assert.equal(a.lease.status.phase, 'lost');
    const again = watch(a.lease.hold(G1, true));
    b.store.fault = () => 'fail';
    await scene.pass(20 * DURATION_MS, 5_000);
    assert.equal(again.value, undefined, 'not even when the other one died');
    b.store.fault = () => undefined;
    await b.lease.release();
    await scene.pass(DURATION_MS);
    assert.equal(again.value, 'begin-anew');
    const record = await scene.record();
    assert.deepEqual(
      record?.superseded.map(({ generation }) => generation),
      [G1, G2],
    );
    assert.equal(await a.lease.hold(G1, true), 'begin-anew', 'until another generation is written');
    await a.lease.release();
  });

  it('a write that was under way when the lease went is not confirmed', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a', { renew: 'always' });
    await a.lease.hold(G1, true);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const slow = { ...a, store: a.store };
    const write = a.store.write.bind(a.store);
    a.store.write = async (key, body, options) => {
      const written = await write(key, body, options);
      if (key === 'x') await gate;
      return written;
    };
    const writing = watch(put(slow, 'x'));
    await scene.settle();
    a.store.fault = ({ kind }) => (kind === 'write' ? 'fail' : undefined);
    const b = scene.writer('b');
    const taking = watch(b.lease.hold(G2, true));
    await scene.pass(DURATION_MS + 12_000);
    assert.equal(taking.value, 'go-on');
    a.store.fault = () => undefined;
    open();
    await scene.settle();
    assert.equal((writing.error as { code?: string }).code, 'LEASE_LOST');
    await b.lease.release();
  });

  it('a write that took longer than the lease counts when nobody else has held it', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const write = a.store.write.bind(a.store);
    a.store.write = async (key, body, options) => {
      if (key === 'x') await gate;
      else if (key === LEASE_KEY && scene.clock.monotonicMs() > 0 && !opened) throw new Error('cut off');
      return write(key, body, options);
    };
    let opened = false;
    const writing = watch(put(a, 'x'));
    await scene.pass(3 * DURATION_MS, 5_000);
    opened = true;
    open();
    await scene.settle();
    assert.deepEqual(writing, { value: undefined });
    await a.lease.release();
  });

  it('a long upload is kept alive, and not completed after the lease was lost', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    async function* body(): AsyncGenerator<Uint8Array> {
      yield DATA;
      await gate;
      yield DATA;
    }
    const writing = watch(fencedStore(a.store, a.lease).write('long', body()));
    await scene.pass(5 * DURATION_MS);
    const b = scene.writer('b');
    await assert.rejects(b.lease.hold(G2, false), { code: 'LEASE_HELD' });
    assert.equal((await scene.record())?.state, 'held');
    // Now the process freezes in the middle, and somebody else takes over.
    a.store.fault = () => 'fail';
    const taking = watch(b.lease.hold(G2, true));
    await scene.pass(DURATION_MS + 12_000);
    assert.equal(taking.value, 'go-on');
    a.store.fault = () => undefined;
    open();
    await scene.settle();
    assert.equal((writing.error as { code?: string }).code, 'LEASE_LOST');
    assert.equal(scene.memory.objects.has('long'), false);
    await b.lease.release();
  });

  for (const [what, change] of [
    ['a machine that was suspended', (w: Writer, ms: number) => (w.clock.monotonicShiftMs -= ms)],
    ['a clock that was set back', (w: Writer, ms: number) => (w.clock.wallShiftMs -= 2 * ms)],
    ['a clock that was set forward', (w: Writer, ms: number) => (w.clock.wallShiftMs += ms)],
  ] as const) {
    it(`${what}: looks again before it writes`, async () => {
      using scene = new LeaseScene();
      const a = scene.writer('a');
      await a.lease.hold(G1, true);
      a.store.fault = () => 'fail';
      scene.clock.advance(DURATION_MS);
      scene.memory.nowMs += DURATION_MS;
      await scene.settle();
      change(a, DURATION_MS);
      const b = scene.writer('b', {}, { metaName: 'a', host: 'host-a' });
      await b.lease.hold(G1, true);
      a.store.fault = () => undefined;
      await assert.rejects(put(a, 'x'), { code: 'LEASE_LOST' });
      assert.equal(scene.memory.objects.has('x'), false);
      await b.lease.release();
    });
  }

  it('a machine whose clocks both stood still learns from the time of the object', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    // For the rest of the world more than the lease passes, and another process takes it.
    const b = scene.writer('b');
    const taking = watch(b.lease.hold(G2, true));
    const stoodStillMs = DURATION_MS + 12_000;
    a.store.fault = () => 'fail';
    await scene.pass(stoodStillMs);
    assert.equal(taking.value, 'go-on');
    a.store.fault = () => undefined;
    a.clock.monotonicShiftMs = -stoodStillMs;
    a.clock.wallShiftMs = -stoodStillMs;
    await assert.rejects(put(a, 'x'), { code: 'LEASE_LOST' });
    await b.lease.release();
  });

  it('an answer that was lost is found out; the lease stays', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    await scene.pass(DURATION_MS);
    const write = a.store.write.bind(a.store);
    let lose = true;
    a.store.write = async (key, body, options) => {
      const written = await write(key, body, options);
      if (lose && key === LEASE_KEY) {
        lose = false;
        throw new Error('the answer was lost');
      }
      return written;
    };
    await assert.rejects(put(a, 'x'), /answer was lost/);
    await put(a, 'x');
    assert.equal((await scene.record())?.epoch, 1);
    await a.lease.release();
  });

  it('a lease that somebody removes is lost, and taken again', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    await scene.pass(DURATION_MS);
    await scene.memory.remove([LEASE_KEY]);
    await assert.rejects(put(a, 'x'), { code: 'LEASE_LOST', message: /was removed/ });
    assert.equal(await a.lease.hold(G1, true), 'go-on');
    await put(a, 'x');
    await a.lease.release();
  });

  it('names what is written before it is, and remembers when the former ended, by the store’s clock', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    await scene.pass(5_000);
    const endedMs = scene.memory.nowMs;
    await a.lease.name(G2);
    assert.deepEqual((await scene.record())?.superseded, [{ generation: G1, atMs: undefined }]);
    await scene.pass(5_000);
    await a.lease.release();
    assert.deepEqual((await scene.record())?.superseded, [{ generation: G1, atMs: endedMs }]);
    assert.deepEqual((await scene.record())?.generations, [G2]);
  });

  it('many changes of writer leave a bounded record', async () => {
    using scene = new LeaseScene();
    for (let n = 0; n < 130; n++) {
      const one = scene.writer(`w${n % 3}`);
      await one.lease.hold(randomGeneration(), true);
      await one.lease.release();
    }
    const record = await scene.record();
    assert.equal(record?.superseded.length, 100);
    assert.ok(scene.memory.bytesOf(LEASE_KEY).length < 16_384);
  });

  it('a process that is frozen while it tries the store out: finds the lease taken, and leaves it alone', async () => {
    using scene = new LeaseScene();
    const plain = steppedStore(scene.memory, 'create-only', async () => undefined);
    let writes = 0;
    const freezing = {
      ...plain,
      write: async (...call: Parameters<typeof plain.write>) => {
        // Its record, the next one, and then what must be refused: by then the others have removed both as old.
        if (++writes === 3) await takeOften();
        return plain.write(...call);
      },
    };
    const takeOften = async (): Promise<void> => {
      const register = openRegister(plain);
      for (let swap = 0; swap < 12; swap++) {
        const reading = await register?.read();
        const record = reading && decodeLease(reading.bytes);
        assert.ok(record !== undefined);
        await register?.swap(
          reading,
          encodeLease({ ...record, session: 'another', owner: 'another', epoch: record.epoch + 1 }),
        );
      }
    };
    const a = scene.writer('a', {}, { store: freezing });
    await assert.rejects(a.lease.hold(G1, false), { code: 'LEASE_HELD' });
    assert.equal(a.logger.matching('nothing protects this replica').length, 0);
    assert.equal((await scene.record(plain))?.session, 'another');
  });

  it('a store that ignores conditions: goes on without, said once, and nothing is left; or refuses', async () => {
    using scene = new LeaseScene();
    const ignoring = {
      ...steppedStore(scene.memory, 'compare-and-swap', async () => undefined),
      write: async (key: string, body: Uint8Array | AsyncIterable<Uint8Array>) =>
        scene.memory.write(key, body),
    };
    const a = scene.writer('a', {}, { store: ignoring });
    assert.equal(await a.lease.hold(G1, true), 'go-on');
    assert.equal(a.lease.status.phase, 'unprotected');
    assert.equal(a.logger.matching('nothing protects this replica').length, 1);
    assert.equal(fencedStore(a.store, a.lease).conditions, 'none');
    await put(a, 'x');
    assert.deepEqual(scene.memory.keys(), ['x']);
    const strict = scene.writer('b', { mode: 'on' }, { store: ignoring });
    await assert.rejects(strict.lease.hold(G1, true), { code: 'CONFIG_INVALID', message: /does not honour/ });
    const none = scene.writer(
      'c',
      { mode: 'on' },
      { store: steppedStore(scene.memory, 'none', async () => undefined) },
    );
    await assert.rejects(none.lease.hold(G1, true), {
      code: 'CONFIG_INVALID',
      message: /no conditional writes/,
    });
  });

  it('a lease object that is none is an error that says so', async () => {
    using scene = new LeaseScene();
    scene.memory.put(LEASE_KEY, Buffer.from('{"version": 2}'));
    const a = scene.writer('a');
    await assert.rejects(a.lease.hold(G1, true), { code: 'REPLICA_INVALID', message: /version is 2/ });
  });
});
