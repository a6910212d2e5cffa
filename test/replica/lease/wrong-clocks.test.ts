/**
 * Clocks that are wrong: that of the process which would like to write, that of the living writer, that of the store, and
 * monotonic ones that jump. A living writer keeps its lease; the lease of a dead one is taken over in bounded time.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fencedStore } from '../../../src/replica/lease/fenced-store.ts';
import { observationMs } from '../../../src/replica/lease/validity.ts';
import { DURATION_MS, LeaseScene, watch, type Writer } from '../../support/lease-scene.ts';

const G1 = '1111111111111111';
const G2 = '2222222222222222';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const YEAR_MS = 365 * 24 * HOUR_MS;
const SHIFTS_MS = [-YEAR_MS, -HOUR_MS, -40_000, 0, 40_000, 10 * MINUTE_MS, HOUR_MS, YEAR_MS];
/** One more than the observation takes, for the looks to be made. */
const TAKE_OVER_MS = observationMs(DURATION_MS) + 2_000;

let written = 0;

async function put({ lease, store }: Writer): Promise<void> {
  await fencedStore(store, lease).write(`object-${++written}`, Buffer.from('data'));
}

/** The writer stores something every two seconds. */
async function passWriting(scene: LeaseScene, writer: Writer, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 2_000) {
    await put(writer);
    await scene.pass(2_000);
  }
}

function die(writer: Writer): void {
  writer.store.fault = () => 'fail';
}

describe('the lease of a living writer', () => {
  for (const shiftMs of SHIFTS_MS) {
    it(`is not taken by a process whose clock is ${shiftMs / 1_000} s off; that of a dead one is`, async () => {
      using scene = new LeaseScene();
      const a = scene.writer('a');
      await a.lease.hold(G1, true);
      await passWriting(scene, a, 6_000);
      const b = scene.writer('b');
      b.clock.wallShiftMs = shiftMs;
      const standing = watch(b.lease.hold(G2, true));
      await passWriting(scene, a, 5 * DURATION_MS);
      assert.deepEqual([standing.value, b.lease.status.phase], [undefined, 'standby']);
      assert.equal(b.logger.matching('waiting as a standby').length, 1);
      assert.deepEqual(b.logger.messages('warn'), []);
      die(a);
      await scene.pass(TAKE_OVER_MS);
      assert.equal(standing.value, 'go-on');
      await b.lease.release();
    });

    it(`is kept by a writer whose own clock is ${shiftMs / 1_000} s off, and lost when that one dies`, async () => {
      using scene = new LeaseScene();
      const a = scene.writer('a');
      a.clock.wallShiftMs = shiftMs;
      await a.lease.hold(G1, true);
      const b = scene.writer('b');
      const standing = watch(b.lease.hold(G2, true));
      await passWriting(scene, a, 3 * DURATION_MS);
      a.clock.wallShiftMs = -shiftMs;
      await passWriting(scene, a, 3 * DURATION_MS);
      assert.deepEqual([standing.value, a.lease.status.phase], [undefined, 'held']);
      die(a);
      await scene.pass(TAKE_OVER_MS);
      assert.equal(standing.value, 'go-on');
      await b.lease.release();
    });

    it(`is kept while the store's clock is ${shiftMs / 1_000} s off, and is set to and fro`, async () => {
      using scene = new LeaseScene();
      const a = scene.writer('a');
      scene.memory.nowMs += shiftMs;
      await a.lease.hold(G1, true);
      const b = scene.writer('b');
      const standing = watch(b.lease.hold(G2, true));
      for (let round = 0; round < 4; round++) {
        await passWriting(scene, a, DURATION_MS);
        scene.memory.nowMs += round % 2 === 0 ? -2 * shiftMs : 2 * shiftMs;
      }
      assert.deepEqual([standing.value, a.lease.status.phase], [undefined, 'held']);
      die(a);
      await scene.pass(TAKE_OVER_MS);
      assert.equal(standing.value, 'go-on');
      await b.lease.release();
    });

    it(`makes a process end that shall not wait, with a clock ${shiftMs / 1_000} s off`, async () => {
      using scene = new LeaseScene();
      const a = scene.writer('a');
      await a.lease.hold(G1, true);
      for (const [settings, wait] of [
        [{ whenHeld: 'exit' }, true],
        [{}, 'while-silent'],
      ] as const) {
        const b = scene.writer('b', settings);
        b.clock.wallShiftMs = shiftMs;
        const ending = watch(b.lease.hold(G2, wait));
        await passWriting(scene, a, DURATION_MS);
        assert.deepEqual([ending.value, (ending.error as { code?: string }).code], [undefined, 'LEASE_HELD']);
      }
      await a.lease.release();
    });
  }

  it('is not taken by one whose monotonic clock jumps once', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const b = scene.writer('b');
    const standing = watch(b.lease.hold(G2, true));
    // The holder trusts its lease for five sixths of the duration, and is cut off as long.
    a.store.fault = () => 'fail';
    await scene.pass(5_000);
    b.clock.monotonicShiftMs = YEAR_MS;
    await scene.pass((DURATION_MS * 5) / 6 - 6_000);
    assert.equal(standing.value, undefined);
    a.store.fault = () => undefined;
    await put(a);
    await passWriting(scene, a, DURATION_MS);
    assert.equal(standing.value, undefined);
    await a.lease.release();
    await scene.pass(DURATION_MS);
    assert.equal(standing.value, 'go-on');
    await b.lease.release();
  });

  it('is not taken after the one that watches was frozen for long', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    const b = scene.writer('b');
    const standing = watch(b.lease.hold(G2, true));
    await passWriting(scene, a, 10_000);
    const looks = b.store.calls.length;
    const sleep = b.clock.sleep.bind(b.clock);
    b.clock.sleep = async (_, signal) => sleep(3 * DURATION_MS, signal);
    await passWriting(scene, a, 3 * DURATION_MS);
    assert.ok(b.store.calls.length - looks <= 1);
    b.clock.sleep = sleep;
    await passWriting(scene, a, 2 * DURATION_MS);
    assert.deepEqual([standing.value, a.lease.status.phase], [undefined, 'held']);
    await a.lease.release();
    await scene.pass(DURATION_MS);
    assert.equal(standing.value, 'go-on');
    await b.lease.release();
  });
});

describe('the lease of a writer that died', () => {
  for (const shiftMs of SHIFTS_MS) {
    it(`a year ago is taken by whoever watched it once, also with a clock ${shiftMs / 1_000} s off`, async () => {
      using scene = new LeaseScene();
      const a = scene.writer('a');
      await a.lease.hold(G1, true);
      die(a);
      scene.clock.advance(YEAR_MS);
      scene.memory.nowMs += YEAR_MS;
      for (const [settings, wait] of [
        [{}, true],
        [{ whenHeld: 'exit' }, true],
        [{}, 'while-silent'],
      ] as const) {
        const b = scene.writer('b', settings, {
          host: `host-${String(wait)}-${Object.keys(settings).length}`,
        });
        // At the very time of the lease it looks alive to a process whose clock is a year behind, which may not wait.
        b.clock.wallShiftMs = shiftMs === -YEAR_MS ? shiftMs + 10 * MINUTE_MS : shiftMs;
        const taking = watch(b.lease.hold(G2, wait));
        await scene.pass(TAKE_OVER_MS);
        assert.ok(taking.value !== undefined);
        assert.equal(b.logger.matching('looks expired; watching as a standby').length, 1);
        assert.equal(b.logger.matching('has expired; taking over').length, 1);
        // It dies as well.
        die(b);
        await scene.pass(2 * DURATION_MS);
      }
    });
  }

  it('is refused at once by whoever may never wait', async () => {
    using scene = new LeaseScene();
    const a = scene.writer('a');
    await a.lease.hold(G1, true);
    die(a);
    scene.clock.advance(YEAR_MS);
    scene.memory.nowMs += YEAR_MS;
    const b = scene.writer('b');
    await assert.rejects(b.lease.hold(G2, false), { code: 'LEASE_HELD' });
  });
});
