/** Where a lease is half taken, just lost, or let go: each moment belongs to one side. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeLease, encodeLease } from '../../../src/generations/lease-record.ts';
import { fencedStore } from '../../../src/replica/lease/fenced-store.ts';
import { LEASE_KEY, openRegister } from '../../../src/storage/open-register.ts';
import { objectExists, storageFailed } from '../../../src/storage/storage-error.ts';
import { DURATION_MS, LeaseScene, watch } from '../../support/lease-scene.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { steppedStore } from '../../support/steps.ts';

const G1 = '1111111111111111';
const G2 = '2222222222222222';
const DATA = Buffer.from('data');
/** Long enough that a store is tried out again. */
const LONG_MS = 8 * 24 * 3_600_000;

/** A store whose writes of the lease end as `mood` says. */
class MoodyStore extends MemoryStore {
  /** `contended`: another value each time. `forgetful`: the answer is lost. `ignorant`: conditions are not known. */
  mood: 'well' | 'contended' | 'forgetful' | 'ignorant' = 'well';

  override async write(...call: Parameters<MemoryStore['write']>): ReturnType<MemoryStore['write']> {
    const isLease = call[0] === LEASE_KEY;
    if (isLease && this.mood === 'contended') throw objectExists(this.location, LEASE_KEY);
    if (isLease && this.mood === 'ignorant') {
      throw storageFailed('not implemented', { retry: false, details: { status: 501 } });
    }
    const written = await super.write(...call);
    if (isLease && this.mood === 'forgetful') throw storageFailed('the answer was lost', { retry: true });
    return written;
  }
}

describe('the lease', () => {
  it('that is let go at this moment is no reason to write', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    await scene.pass(2 * DURATION_MS, 5_000);
    const releasing = a.lease.release();
    await assert.rejects(a.lease.ensure(), { code: 'LEASE_LOST' });
    await releasing;
  });

  it('taken by halves is not held', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    await scene.pass(DURATION_MS);
    await scene.memory.remove([LEASE_KEY]);
    await assert.rejects(a.lease.ensure(), { code: 'LEASE_LOST' });
    scene.clock.advance(LONG_MS);
    scene.memory.nowMs += LONG_MS;
    // Its record is there, but what the store does with conditions could not be found out.
    let writes = 0;
    a.store.fault = ({ kind }) => (kind === 'write' && ++writes > 1 ? 'fail' : undefined);
    await assert.rejects(a.lease.hold(G1, true));
    a.store.fault = () => undefined;
    assert.deepEqual([a.lease.status.phase, a.lease.status.epoch], ['lost', undefined]);
    await assert.rejects(a.lease.ensure(), { code: 'LEASE_LOST' });
    assert.equal(await a.lease.hold(G1, true), 'go-on');
    await a.lease.release();
  });

  it('taken by another process in the middle of the take-over is waited for as any other', async () => {
    using scene = new LeaseScene();
    const plain = steppedStore(scene.memory, 'create-only', async () => undefined);
    const takeAndDie = async (): Promise<void> => {
      const register = openRegister(plain);
      const reading = await register?.read();
      const record = reading && decodeLease(reading.bytes);
      assert.ok(record !== undefined);
      const other = { session: 'another', owner: 'another', host: 'elsewhere', epoch: record.epoch + 1 };
      await register?.swap(reading, encodeLease({ ...record, ...other }));
    };
    let writes = 0;
    const freezing = {
      ...plain,
      write: async (...call: Parameters<typeof plain.write>) => {
        // Its first record, and then the one that tries the store out.
        if (++writes === 2) await takeAndDie();
        return plain.write(...call);
      },
    };
    const a = scene.writer('a', {}, { store: freezing });
    await assert.rejects(a.lease.hold(G1, false), { code: 'LEASE_HELD' });
    assert.equal(a.lease.status.phase, 'none');
    const waiting = watch(a.lease.hold(G1, true));
    await scene.pass(DURATION_MS + 12_000);
    assert.equal(waiting.value, 'begin-anew');
    await a.lease.release();
  });

  it('released by the original of a copied state directory: its history goes on only where nobody lived beside it', async () => {
    for (const copied of ['before', 'after'] as const) {
      using scene = new LeaseScene();
      const original = scene.writer('a');
      assert.equal(await original.lease.hold(G1, true), 'go-on');
      const copy = scene.writer('a', {}, { host: 'elsewhere' });
      const waiting = copied === 'before' ? watch(copy.lease.hold(G1, true)) : undefined;
      await scene.pass(3_000);
      await original.lease.release();
      const taking = waiting ?? watch(copy.lease.hold(G1, true));
      await scene.pass(3_000);
      assert.equal(taking.value, copied === 'before' ? 'begin-anew' : 'go-on');
      await copy.lease.release();
    }
  });

  it('changed by the last words of a process that was killed: nobody is alive for that', async () => {
    using scene = new LeaseScene();
    const killed = scene.writer('a');
    await killed.lease.hold(G1, true);
    await scene.pass(DURATION_MS / 3);
    const b = scene.writer('b');
    const waiting = watch(b.lease.hold(G2, true));
    await scene.pass(2_000);
    // Its last request was under way, and says that it is idle.
    const register = openRegister(scene.memory);
    const reading = await register?.read();
    const record = reading && decodeLease(reading.bytes);
    assert.ok(register !== undefined && record !== undefined);
    await register.swap(reading, encodeLease({ ...record, state: 'parked', serial: record.serial + 1 }));
    killed.store.fault = () => 'fail';
    await scene.pass(2 * DURATION_MS);
    assert.equal(waiting.value, 'go-on');
    await b.lease.release();
  });

  it('that others take again and again is an error, not an endless try', { timeout: 10_000 }, async () => {
    using scene = new LeaseScene();
    const store = new MoodyStore();
    store.mood = 'contended';
    const a = scene.writer('a', {}, { store });
    await assert.rejects(a.lease.hold(G1, true), {
      code: 'STORAGE_FAILED',
      message: /cannot take the lease/,
    });
    store.mood = 'well';
    assert.equal(await a.lease.hold(G1, true), 'go-on');
    await a.lease.release();
  });

  it('what was given up once is not continued, also when the record did not name it', async () => {
    using scene = new LeaseScene();
    const store = new MoodyStore();
    const a = scene.writer('a', {}, { store });
    await a.lease.hold(G1, true);
    await a.lease.release();
    await store.remove([LEASE_KEY]);
    const b = scene.writer('b', {}, { store });
    await b.lease.hold(G2, true);
    await b.lease.release();
    const again = scene.writer('a', {}, { store });
    assert.equal(await again.lease.hold(G1, true), 'begin-anew');
    // Killed before it could begin another generation.
    const restarted = scene.writer('a', {}, { store });
    assert.equal(await restarted.lease.hold(G1, true), 'begin-anew');
    await restarted.lease.release();
  });

  it('lost, and then not to be had for want of conditions: goes on without it', async () => {
    using scene = new LeaseScene();
    const store = new MoodyStore();
    const a = scene.writer('a', {}, { store });
    await a.lease.hold(G1, true);
    await scene.pass(DURATION_MS);
    await store.remove([LEASE_KEY]);
    await assert.rejects(a.lease.ensure(), { code: 'LEASE_LOST' });
    store.mood = 'ignorant';
    assert.equal(await a.lease.hold(G1, true), 'go-on');
    assert.equal(a.lease.status.phase, 'unprotected');
    await fencedStore(a.store, a.lease).write('x', DATA);
    assert.ok(store.objects.has('x'));
  });
});
