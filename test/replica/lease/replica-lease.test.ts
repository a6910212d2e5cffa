/** Two databases that were one, and one destination. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readInventory } from '../../../src/generations/inventory.ts';
import { decodeLease, encodeLease, type LeaseRecord } from '../../../src/generations/lease-record.ts';
import type { LeaseSettings } from '../../../src/replica/lease/lease.ts';
import { openLease } from '../../../src/replica/lease/open-lease.ts';
import { restore } from '../../../src/restore/restore.ts';
import { FileObjectStore } from '../../../src/storage/file/file-object-store.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { openRegister } from '../../../src/storage/open-register.ts';
import { isRivuletError } from '../../../src/base/errors.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { ReplicaScene } from '../../support/replica-scene.ts';
import { Scratch } from '../../support/scratch.ts';
import { PATIENCE_MS } from '../../support/until.ts';
import { DatabaseSync } from 'node:sqlite';

const DURATION_MS = 240;
const HELD = 'LEASE_HELD';
const LOST = 'the lease is lost: later changes of this process are not stored at this destination';

/** A process with its own copy of a database, in real time. */
function writer(name: string, store: ObjectStore, settings: Partial<LeaseSettings> = {}): ReplicaScene {
  return new ReplicaScene({
    store,
    lease: (parts) =>
      openLease(
        { mode: 'auto', durationMs: DURATION_MS, whenHeld: 'wait', renew: 'active', ...settings },
        { ...parts, clock: systemClock, name: 'memory', database: name, program: 'test', host: name },
      ),
  });
}

/** The store with the real time of this machine. */
function timed(): MemoryStore {
  const store = new MemoryStore();
  Object.defineProperty(store, 'nowMs', { get: () => Date.now() });
  return store;
}

async function recordOf(store: ObjectStore): Promise<LeaseRecord | undefined> {
  const reading = await openRegister(store)?.read();
  return reading && decodeLease(reading.bytes);
}

async function restoredRows(store: ObjectStore, generation?: string): Promise<string[]> {
  using scratch = new Scratch();
  const outputPath = scratch.file('restored');
  await restore({
    store,
    target: generation === undefined ? {} : { generation },
    outputPath,
    integrityCheck: 'full',
  });
  const database = new DatabaseSync(outputPath);
  try {
    return database
      .prepare('SELECT CAST(body AS TEXT) AS body FROM t ORDER BY id')
      .all()
      .map((row) => String(row['body']));
  } finally {
    database.close();
  }
}

/** The upkeep may have noticed the loss before the next write does: then the lease is found held by another. */
function isLoss(error: unknown): boolean {
  return isRivuletError(error, 'LEASE_LOST', 'LEASE_HELD');
}

function add(scene: ReplicaScene, text: string): void {
  scene.live.app.prepare('INSERT INTO t (body) VALUES (?)').run(text);
}

async function generationsOf(store: ObjectStore): Promise<string[]> {
  return (await readInventory(store)).generations.map(({ generation }) => generation);
}

for (const kind of ['memory', 'directory'] as const) {
  describe(`two writers on one ${kind}`, { timeout: 60_000 }, () => {
    const open = (scratch: Scratch): ObjectStore =>
      kind === 'memory' ? timed() : new FileObjectStore(scratch.file('replica'));

    it('the second stands by, takes over when the first ends, and begins its own history', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      await using b = writer('b', store);
      a.run();
      add(a, 'from a');
      await a.refresh();
      await a.until('a is stored', () => a.replica.isCaughtUp);
      add(b, 'from b');
      await b.refresh();
      await assert.rejects(b.replica.once(new AbortController().signal), { code: HELD });
      b.run();
      await b.until('b stands by', () => b.replica.status.state === 'standby');
      assert.equal(b.replica.status.lease?.holder?.database, 'a');
      assert.deepEqual([b.replica.isCaughtUp, b.facts.includes('failure')], [false, false]);
      await a.stop();
      await a.replica.finish(performance.now() + PATIENCE_MS);
      await b.until(
        'b is stored',
        () => b.replica.status.state === 'streaming' && b.facts.includes('segment'),
      );
      assert.equal((await generationsOf(store)).length, 2);
      assert.deepEqual(await restoredRows(store), ['from b']);
      assert.deepEqual(await restoredRows(store, a.primary.generation), ['from a']);
    });

    it('a standby beside which nothing was committed has nothing to report when it ends', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      await using b = writer('b', store);
      add(a, 'from a');
      await a.sync();
      b.live.checkpoint('TRUNCATE');
      await b.refresh();
      b.run();
      await b.until('b stands by', () => b.replica.status.state === 'standby');
      assert.equal(b.replica.isCaughtUp, true);
      await b.stop();
      await b.replica.finish(performance.now() + PATIENCE_MS);
      await a.replica.finish(performance.now() + PATIENCE_MS);
      assert.equal((await recordOf(store))?.state, 'released');
    });

    for (const [when, isBefore] of [
      ['before it was opened', true],
      ['since it was opened', false],
    ] as const) {
      it(`a standby beside which something was committed ${when} says at the end that it is stored nowhere`, async () => {
        using scratch = new Scratch();
        const store = open(scratch);
        await using a = writer('a', store);
        await using b = writer('b', store);
        add(a, 'from a');
        await a.sync();
        b.live.checkpoint('TRUNCATE');
        if (isBefore) add(b, 'from b');
        await b.refresh();
        b.run();
        await b.until('b stands by', () => b.replica.status.state === 'standby');
        if (!isBefore) {
          add(b, 'from b');
          await b.refresh();
        }
        assert.equal(b.replica.isCaughtUp, false);
        await b.stop();
        await assert.rejects(b.replica.finish(performance.now() + PATIENCE_MS), {
          code: 'FINAL_SYNC_FAILED',
          message: /is written to by process/,
        });
      });
    }

    it('a standby that had stored everything before it was started again has nothing to report', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      await using b = writer('b', store);
      add(b, 'from b');
      await b.sync();
      await b.replica.finish(performance.now() + PATIENCE_MS);
      await b.restart();
      add(a, 'from a');
      await a.sync();
      await b.refresh();
      b.run();
      await b.until('b stands by', () => b.replica.status.state === 'standby');
      assert.equal(b.replica.isCaughtUp, true);
      await b.stop();
    });

    it('a restart goes on in its generation at once', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      add(a, 'one');
      await a.sync();
      await a.restart();
      add(a, 'two');
      await a.sync();
      assert.equal((await generationsOf(store)).length, 1);
      assert.deepEqual(await restoredRows(store), ['one', 'two']);
      await a.replica.finish(performance.now() + PATIENCE_MS);
    });

    it('a frozen one wakes up: it is told, stores nothing more, and comes back with a new history', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      await using b = writer('b', store, { renew: 'always' });
      a.run();
      add(a, 'from a');
      await a.refresh();
      await a.until('a is stored', () => a.replica.isCaughtUp);
      const first = a.primary.generation;
      a.store.fault = () => 'fail';
      b.run();
      add(b, 'from b');
      await b.refresh();
      await b.until('b is stored', () => b.facts.includes('segment'));
      a.store.fault = () => undefined;
      add(a, 'too late');
      await a.refresh();
      await a.until('a knows', () => a.replica.status.state === 'lost');
      assert.equal(a.logger.matching(LOST).length, 1);
      assert.deepEqual(await restoredRows(store), ['from b']);
      assert.deepEqual(await restoredRows(store, first), ['from a']);
      await assert.rejects(a.replica.finish(performance.now() + 300), {
        code: 'FINAL_SYNC_FAILED',
        message: /taken over by|written to by/,
      });
      await b.stop();
      await b.replica.finish(performance.now() + PATIENCE_MS);
      const isBack = (): boolean => {
        const { generation } = a.replica.status;
        return generation !== undefined && generation !== first && a.replica.isCaughtUp;
      };
      await a.until('a is stored', isBack);
      assert.notEqual(a.primary.generation, first);
      assert.equal((await generationsOf(store)).length, 3);
      assert.deepEqual(await restoredRows(store), ['from a', 'too late']);
    });

    it('whoever shall exit does, when it loses', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store, { whenHeld: 'exit' });
      await using b = writer('b', store);
      add(a, 'from a');
      await a.sync();
      a.store.fault = () => 'fail';
      b.run();
      add(b, 'from b');
      await b.refresh();
      await b.until('b is stored', () => b.facts.includes('segment'));
      a.store.fault = () => undefined;
      add(a, 'too late');
      await a.refresh();
      await assert.rejects(a.replica.run(new AbortController().signal), isLoss);
      await assert.rejects(a.replica.run(new AbortController().signal), { code: HELD });
    });

    it('a segment that lands after the take-over is not what restore gives', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      await using b = writer('b', store);
      add(a, 'from a');
      await a.sync();
      // The request of a frozen process is on its way for long.
      const { promise: gate, resolve: arrive } = Promise.withResolvers<void>();
      const sent = Promise.withResolvers<void>();
      const write = a.store.write.bind(a.store);
      a.store.write = async (key, body, options) => {
        if (!key.includes('/wal/')) return write(key, body, options);
        sent.resolve();
        await gate;
        return store.write(key, body, { onlyIf: 'absent' });
      };
      add(a, 'never confirmed');
      const shipping = a.sync();
      await sent.promise;
      a.store.fault = () => 'fail';
      b.run();
      add(b, 'from b');
      await b.refresh();
      await b.until('b is stored', () => b.facts.includes('segment') && b.replica.isCaughtUp);
      // Times of directories and of listings have a grain.
      await new Promise((resolve) => setTimeout(resolve, 30));
      arrive();
      a.store.fault = () => undefined;
      await assert.rejects(shipping, { code: 'LEASE_LOST' });
      assert.deepEqual(await restoredRows(store), ['from b']);
      const [late] = (await readInventory(store)).generations.filter(
        ({ generation }) => generation !== b.primary.generation,
      );
      assert.deepEqual(
        [
          late?.segments.length,
          (late?.updatedAt ?? 0) >
            ((await readInventory(store)).generations.find(
              ({ generation }) => generation === b.primary.generation,
            )?.updatedAt ?? 0),
        ],
        [2, true],
        'it did land, as the newest object of all',
      );
      await b.stop();
      await b.replica.finish(performance.now() + PATIENCE_MS);
    });

    it('a copy of the state, on another machine, does not continue a living history', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      await using b = writer('b', store);
      add(a, 'from a');
      await a.sync();
      a.store.fault = () => 'fail';
      copyFileSync(`${a.live.path}-meta/lease-memory.json`, `${b.live.path}-meta/lease-memory.json`);
      await b.restart();
      add(b, 'from b');
      b.run();
      await b.refresh();
      const stoodBy = (): boolean => b.logger.matching('waiting as a standby').length > 0;
      await b.until('b stands by', stoodBy);
      await b.until('b has taken over', () => b.replica.status.state === 'streaming');
      a.store.fault = () => undefined;
      add(a, 'too late');
      await assert.rejects(a.sync(), isLoss);
      await b.stop();
      await b.replica.finish(performance.now() + PATIENCE_MS);
    });

    it('objects are created, never replaced', async () => {
      using scratch = new Scratch();
      const store = open(scratch);
      await using a = writer('a', store);
      add(a, 'one');
      await a.sync();
      // The answer to a segment is lost: it is found, and the next one goes on behind it.
      const write = a.store.write.bind(a.store);
      let lost = 0;
      a.store.write = async (key, body, options) => {
        const written = await write(key, body, options);
        if (key.includes('/wal/') && lost++ === 0) throw new Error('the answer was lost');
        return written;
      };
      add(a, 'two');
      await assert.rejects(a.sync(), /answer was lost/);
      add(a, 'three');
      await a.sync();
      assert.deepEqual(await restoredRows(store), ['one', 'two', 'three']);
      assert.equal((await generationsOf(store)).length, 1);
      await a.replica.finish(performance.now() + PATIENCE_MS);
    });
  });
}

describe('a process whose clocks stood still while another one took over', { timeout: 60_000 }, () => {
  it('does not take for damage what the other has removed', async () => {
    const store = timed();
    const verify = { intervalMs: 0, quickIntervalMs: 20, maxSizeBytes: 0 };
    await using a = new ReplicaScene({
      store,
      settings: { verify },
      lease: (parts) =>
        openLease(
          // By its own clocks it holds the lease until the end of the test.
          { mode: 'auto', durationMs: 3_600_000, whenHeld: 'wait', renew: 'active' },
          { ...parts, clock: systemClock, name: 'memory', database: 'a', program: 'test', host: 'a' },
        ),
    });
    a.run();
    add(a, 'from a');
    await a.refresh();
    await a.until('it is proven', () => a.replica.status.proof?.outcome === 'proven');
    const register = openRegister(store);
    const reading = await register?.read();
    const record = await recordOf(store);
    assert.ok(register !== undefined && record !== undefined);
    await register.swap(reading, encodeLease({ ...record, session: 'another', epoch: record.epoch + 1 }));
    for (const key of store.keys()) if (key.startsWith('generations/')) store.objects.delete(key);
    add(a, 'later');
    await a.refresh();
    await a.until('the loss is told', () => a.logger.matching(LOST).length === 1);
    assert.deepEqual(a.logger.matching('the destination does not restore'), []);
    assert.equal(a.facts.filter((fact) => fact === 'snapshot').length, 1);
  });
});
