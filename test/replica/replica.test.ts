import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { formatIndex } from '../../src/generations/names.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import { retryingStore } from '../../src/storage/retrying.ts';
import { storageFailed } from '../../src/storage/storage-error.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene, SHORT_LOGS } from '../support/replica-scene.ts';
import { Scratch } from '../support/scratch.ts';
import { PATIENCE_MS, untilQuiet } from '../support/until.ts';

const STARTED = 'the destination failed; trying again';
const ENDED = 'the destination works again';

/** What is known of the chain at a destination, by names. */
function keysOf(store: MemoryStore, part: string): string[] {
  return store.keys().filter((key) => key.includes(part));
}

describe('a destination', () => {
  it('gets a snapshot and every commit, into a directory, and restores', async () => {
    using scratch = new Scratch();
    await using scene = new ReplicaScene({
      store: new FileObjectStore(scratch.file('replica')),
      primary: { checkpoint: { minPages: 10 } },
    });
    assert.equal(scene.replica.isCaughtUp, false, 'nobody has read what is there');
    for (let round = 0; round < 15; round++) {
      scene.live.insert(5, 1500);
      await scene.sync();
      assert.equal(scene.replica.isCaughtUp, true);
    }
    const { state, confirmed, generation, lastError, caughtUpAtMs } = scene.replica.status;
    assert.deepEqual(
      [state, confirmed, generation],
      ['streaming', scene.primary.position, scene.primary.generation],
    );
    assert.equal(lastError, undefined);
    assert.ok(Math.abs((caughtUpAtMs ?? 0) - Date.now()) < 5000);
    assert.ok((confirmed?.index ?? 0) > 2);
    await scene.assertRestores();
  });

  it('a log that is larger than a segment goes in bounded pieces, and restores', async () => {
    await using scene = new ReplicaScene();
    await scene.sync();
    scene.live.insert(6000, 3900);
    await scene.sync();
    assert.ok(scene.store.keysOf('write').filter((key) => key.includes('/wal/')).length >= 4);
    await scene.assertRestores();
  });

  it('a first snapshot over a large log: what it holds already appears in one object', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    await scene.refresh();
    scene.live.insert(3000, 3900);
    await scene.sync();
    const [first, ...more] = keysOf(store, '/wal/');
    assert.match(first ?? '', /00000000_00000000/);
    assert.deepEqual(more, []);
    await scene.assertRestores();
  });

  it('continues after a restart of the process without a new snapshot', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store, primary: { checkpoint: { minPages: 3 } } });
    for (let round = 0; round < 4; round++) {
      scene.live.insert(4, 1000);
      await scene.sync();
      // A write into the database file could not be told from the last one, were it made in the same moment.
      await delay(100);
      await scene.restart();
    }
    scene.live.insert(1);
    await scene.sync();
    assert.equal(keysOf(store, '/snapshots/').length, 1);
    assert.equal(scene.logger.matching('continuing where the destination stands').length, 4);
    await scene.assertRestores();
  });

  it('with nothing new the store is not called at all', async () => {
    await using scene = new ReplicaScene({ settings: { retentionMs: 3_600_000 } });
    scene.live.insert(3);
    await scene.refresh();
    scene.run();
    await scene.until('the first upload', () => scene.replica.isCaughtUp && scene.facts.includes('segment'));
    await untilQuiet('the store', () => scene.store.calls.length, 100);
    const before = scene.store.calls.length;
    for (let look = 0; look < 20; look++) {
      await scene.refresh();
      await delay(5);
    }
    assert.equal(scene.store.calls.length, before, JSON.stringify(scene.store.calls.slice(before)));
    scene.live.insert(1);
    await scene.refresh();
    await scene.until('the next upload', () => scene.store.calls.length > before && scene.replica.isCaughtUp);
    assert.equal(scene.store.calls.length, before + 1, 'one commit is one request');
  });
});

describe('a destination that fails', () => {
  it('says so once, tries again with growing waits, says once that it works again', async () => {
    await using scene = new ReplicaScene();
    await scene.sync();
    scene.store.failNext(3, ({ kind }) => kind === 'write');
    scene.live.insert(5);
    await scene.refresh();
    scene.run();
    await scene.until('a failure', () => scene.replica.status.state === 'failing');
    assert.match(scene.replica.status.lastError?.message ?? '', /failed on purpose/);
    assert.equal(scene.replica.isCaughtUp, false);
    await scene.until('the recovery', () => scene.facts.includes('recovery'));
    await scene.stop();
    assert.deepEqual(
      scene.facts.filter((fact) => fact !== 'segment' && fact !== 'snapshot'),
      ['failure', 'failure', 'failure', 'recovery'],
    );
    assert.equal(scene.logger.matching(STARTED).length, 1);
    assert.equal(scene.logger.matching(STARTED)[0]?.level, 'warn');
    assert.equal(scene.logger.matching(ENDED).length, 1);
    assert.ok(Number.isInteger(scene.logger.matching(ENDED)[0]?.fields['failedForMs']));
    assert.equal(scene.replica.status.state, 'streaming');
    assert.equal(scene.replica.status.lastError?.isOver, true);
    await scene.assertRestores();
  });

  for (const kind of ['list', 'write'] as const) {
    it(`at its very first ${kind}: begins anew and loses nothing`, async () => {
      await using scene = new ReplicaScene();
      scene.live.insert(20, 1000);
      await scene.refresh();
      scene.store.failNext(2, (call) => call.kind === kind);
      scene.run();
      await scene.until('the recovery', () => scene.facts.includes('recovery'));
      await scene.stop();
      await scene.assertRestores();
    });
  }

  it('half-way through a body: nothing appears, and the next attempt is whole', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    scene.live.insert(50, 3000);
    await scene.refresh();
    let halves = 2;
    scene.store.fault = ({ kind }) => (kind === 'write' && halves-- > 0 ? 'half' : undefined);
    await assert.rejects(scene.replica.syncOnce(), { code: 'STORAGE_FAILED' });
    assert.deepEqual(store.keys(), []);
    await assert.rejects(scene.replica.syncOnce(), { code: 'STORAGE_FAILED' });
    await scene.replica.syncOnce();
    await scene.assertRestores();
  });

  it('that hangs: a stop ends it at once', async () => {
    await using scene = new ReplicaScene();
    scene.live.insert(5);
    await scene.refresh();
    scene.store.fault = ({ kind }) => (kind === 'write' ? 'hang' : undefined);
    scene.run();
    await scene.until('the write', () => scene.store.keysOf('write').length > 0);
    const startedMs = performance.now();
    await scene.stop();
    assert.ok(performance.now() - startedMs < 1000);
    assert.equal(scene.logger.matching(STARTED).length, 0, 'a stop is no failure');
  });

  it('never stops another one', async () => {
    await using scene = new ReplicaScene({ primary: { checkpoint: { minPages: 3 } } });
    const good = scene.newReplica({ name: 'good' });
    await scene.refresh();
    await good.syncOnce();
    await scene.replica.syncOnce().catch(() => undefined);
    scene.store.fault = ({ kind }) => (kind === 'write' ? 'fail' : undefined);
    for (let round = 0; round < 5; round++) {
      scene.live.insert(10, 1000);
      await scene.refresh();
      await assert.rejects(scene.replica.syncOnce());
      scene.store.fault = () => undefined;
      await good.syncOnce();
      scene.store.fault = ({ kind }) => (kind === 'write' ? 'fail' : undefined);
      assert.equal(good.isCaughtUp, true);
    }
    assert.equal(scene.replica.isCaughtUp, false);
  });

  it('and is reminded of every five minutes, not more often', async () => {
    const clock = new FakeClock();
    await using scene = new ReplicaScene({ clock });
    await scene.sync();
    scene.store.fault = () => 'fail';
    scene.live.insert(1);
    await scene.refresh();
    clock.advance(1000);
    scene.run();
    for (let second = 0; second < 900; second += 10) {
      clock.advance(10_000);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const lines = scene.logger.matching(STARTED);
    assert.ok(lines.length >= 2 && lines.length <= 4, `${lines.length} lines in fifteen minutes`);
    assert.ok(clock.sleeps.every((ms) => ms <= 60_000));
  });
});

describe('a destination that is back after a long time, and whose chain cannot go on', () => {
  it('is looked at again at once', async () => {
    const clock = new FakeClock();
    await using scene = new ReplicaScene({ clock });
    await scene.sync();
    scene.store.fault = () => 'fail';
    scene.live.insert(1);
    scene.run();
    await scene.refresh();
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000);
      await delay(1);
    }
    const { primary } = scene;
    const take = primary.take.bind(primary);
    let isLost = true;
    primary.take = (...call) => {
      const taken = isLost ? ({ kind: 'lost', why: 'for this test' } as const) : take(...call);
      isLost = false;
      return taken;
    };
    scene.store.fault = () => undefined;
    // The longest wait between two attempts.
    clock.advance(60_000);
    await scene.until('it has everything', () => scene.replica.isCaughtUp);
    assert.equal(scene.logger.matching('the chain to this destination is broken').length, 1);
    await scene.assertRestores();
  });
});

describe('the end', () => {
  it('ships what is left, and leaves a promise that the chain reaches so far', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    await scene.sync();
    scene.live.insert(3);
    await scene.replica.finish(performance.now() + PATIENCE_MS);
    const { index, offsetBytes } = scene.primary.position ?? { index: -1, offsetBytes: -1 };
    assert.deepEqual(keysOf(store, '/ends/'), [
      `generations/${scene.primary.generation}/ends/${formatIndex(index)}_${formatIndex(offsetBytes)}`,
    ]);
    await scene.assertRestores();
    store.objects.delete(keysOf(store, '/wal/').at(-1) ?? '');
    await assert.rejects(scene.assertRestores(), { code: 'CHAIN_BROKEN' });
  });

  it('tries again until the deadline, then says that not everything was stored', async () => {
    await using scene = new ReplicaScene();
    await scene.sync();
    scene.live.insert(3);
    scene.store.fault = () => 'fail';
    await assert.rejects(scene.replica.finish(performance.now() + 1_500), {
      code: 'FINAL_SYNC_FAILED',
      message: /not everything was stored at faulty:.*failed on purpose/,
      hint: /log was kept/,
    });
    assert.ok(scene.store.calls.length > 3);
    scene.store.failNext(1);
    await scene.replica.finish(performance.now() + PATIENCE_MS);
    await scene.assertRestores();
  });

  it('says what was tried over and over below until the deadline', async () => {
    const store = new FaultyStore(new MemoryStore());
    const retrier = new StorageRetrier({ clock: systemClock, logger: silentLogger });
    await using scene = new ReplicaScene({ store: retryingStore(store, retrier, systemClock) });
    await scene.sync();
    scene.live.insert(3);
    store.fault = () => {
      throw storageFailed('no route to host', { retry: true, hint: 'Is the network up?' });
    };
    await assert.rejects(scene.replica.finish(performance.now() + 500), {
      code: 'FINAL_SYNC_FAILED',
      message: /not everything was stored at .*: no route to host$/,
      hint: /^Is the network up\? The write-ahead log was kept/,
    });
  });

  it('a destination that hangs is given up at the deadline', async () => {
    await using scene = new ReplicaScene();
    await scene.sync();
    scene.live.insert(3);
    scene.store.fault = () => 'hang';
    await assert.rejects(scene.replica.finish(performance.now() + 200), { code: 'FINAL_SYNC_FAILED' });
  });

  it('does not run after writers that are faster than the destination', async () => {
    await using scene = new ReplicaScene();
    await scene.sync();
    scene.live.insert(3);
    const isSegment = (key: string): boolean => key.includes('/wal/');
    const before = scene.store.keysOf('write').filter(isSegment).length;
    scene.store.fault = ({ kind, key }) => {
      if (kind !== 'write' || !isSegment(key)) return undefined;
      scene.live.insert(1);
      // Somebody else looks: another destination that ends, or the one who follows the log while replicas are exchanged.
      void scene.primary.refresh();
      return undefined;
    };
    await scene.replica.finish(performance.now() + 2_000);
    assert.equal(scene.store.keysOf('write').filter(isSegment).length, before + 1);
    scene.store.fault = () => undefined;
    await scene.sync();
    await scene.assertRestores();
  });

  it('without a database there is nothing left to send', async () => {
    await using scene = new ReplicaScene();
    scene.live.close();
    for (const ending of ['', '-wal', '-shm']) rmSync(scene.live.path + ending, { force: true });
    await scene.replica.finish(performance.now() + PATIENCE_MS);
    assert.deepEqual(scene.store.calls, []);
  });
});

describe('snapshots and retention', () => {
  const HOUR = 3_600_000;

  it('a snapshot when it is due, and what is older than the window goes', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const settings = { snapshotIntervalMs: HOUR, retentionMs: 3 * HOUR, retentionCheckIntervalMs: HOUR };
    await using scene = new ReplicaScene({ clock, store, settings, primary: SHORT_LOGS });
    const { signal } = new AbortController();
    for (let hour = 0; hour < 12; hour++) {
      store.nowMs = clock.now();
      for (let n = 0; n < 2; n++) {
        scene.live.insert(2, 1500);
        await scene.replica.once(signal);
        await scene.refresh();
      }
      clock.advance(HOUR);
    }
    const snapshots = keysOf(store, '/snapshots/');
    assert.ok(snapshots.length >= 3 && snapshots.length <= 6, snapshots.join(' '));
    assert.ok(scene.logger.matching('removed what is older').length > 0);
    const oldest = /snapshots\/([0-9a-f]{8})/.exec(snapshots[0] ?? '')?.[1] ?? '';
    for (const key of keysOf(store, '/wal/')) assert.ok(key.split('/wal/')[1] ?? '' >= oldest, key);
    await scene.assertRestores();
  });

  it('a scheduled snapshot appears only when the log before it has been confirmed', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const settings = { snapshotIntervalMs: HOUR };
    await using scene = new ReplicaScene({ clock, store, settings, primary: SHORT_LOGS });
    await scene.sync();
    scene.live.insert(2);
    await scene.sync();
    await scene.refresh();
    scene.live.insert(2);
    await scene.sync();
    clock.advance(2 * HOUR);
    store.nowMs = clock.now();
    scene.live.insert(1);
    await scene.refresh();
    scene.store.fault = ({ kind, key }) => (kind === 'write' && key.includes('/wal/') ? 'fail' : undefined);
    scene.run();
    for (let step = 0; step < 30; step++) {
      clock.advance(500);
      await delay(2);
      assert.equal(keysOf(store, '/snapshots/').length, 1);
    }
    scene.store.fault = () => undefined;
    const pump = setInterval(() => clock.advance(500), 2);
    try {
      await scene.until('the snapshot', () => keysOf(store, '/snapshots/').length === 2);
    } finally {
      clearInterval(pump);
    }
    await scene.stop();
    await scene.assertRestores();
  });

  it('another database under the path: its generation begins with a snapshot', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    scene.live.insert(5);
    await scene.sync();
    const first = scene.primary.generation;
    scene.live.close();
    for (const ending of ['', '-wal', '-shm']) rmSync(scene.live.path + ending, { force: true });
    await scene.refresh();
    assert.equal(scene.replica.isCaughtUp, true);
    scene.live.exec('PRAGMA journal_mode=wal; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)');
    scene.live.insert(7);
    await scene.sync();
    assert.notEqual(scene.primary.generation, first);
    assert.equal(keysOf(store, `${scene.primary.generation}/snapshots`).length, 1);
  });

  it('the generation changes while a first snapshot is written: the destination gets the new one', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    scene.live.insert(900, 3900);
    await scene.refresh();
    const old = scene.primary.generation;
    let swapped = false;
    scene.store.fault = ({ kind, key }) => {
      if (kind === 'write' && key.includes('/snapshots/') && !swapped) {
        swapped = true;
        scene.live.close();
        for (const ending of ['', '-wal', '-shm']) rmSync(scene.live.path + ending, { force: true });
        scene.live.exec('PRAGMA journal_mode=wal; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)');
        scene.live.insert(4);
        void scene.refresh();
      }
      return undefined;
    };
    scene.run();
    await scene.until(
      'the new generation',
      () => ![old, undefined].includes(scene.primary.generation) && scene.replica.isCaughtUp,
    );
    await scene.stop();
    await scene.assertRestores();
  });

  it('validation compares the destination with the live database', async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const settings = { validationIntervalMs: HOUR };
    await using scene = new ReplicaScene({ clock, store, settings });
    scene.live.insert(30, 900);
    const { signal } = new AbortController();
    await scene.replica.once(signal);
    assert.deepEqual(
      scene.facts.filter((fact) => fact.includes('valid')),
      [],
    );
    clock.advance(HOUR);
    await scene.replica.once(signal);
    assert.deepEqual(
      scene.facts.filter((fact) => fact.includes('valid')),
      ['valid'],
    );
    await scene.restart();
    await scene.replica.once(signal);
    assert.equal(scene.facts.filter((fact) => fact.includes('valid')).length, 1, 'the time is remembered');
    clock.advance(HOUR);
    const snapshot = keysOf(store, '/snapshots/')[0] ?? '';
    const damaged = store.bytesOf(snapshot).slice();
    damaged[damaged.length >>> 1] = (damaged[damaged.length >>> 1] ?? 0) ^ 1;
    store.put(snapshot, damaged);
    await clock.during(scene.replica.once(signal));
    assert.deepEqual(
      scene.facts.filter((fact) => fact.includes('valid')),
      ['valid', 'invalid'],
    );
    assert.equal(scene.logger.lines.filter(({ level }) => level === 'error').length, 1);
    assert.equal(keysOf(store, '/snapshots/').length, 2, 'a fresh one takes its place');
    clock.advance(HOUR);
    scene.live.insert(1);
    await clock.during(scene.replica.once(signal));
    assert.deepEqual(
      scene.facts.filter((fact) => fact.includes('valid')),
      ['valid', 'invalid', 'valid'],
    );
  });
});

describe('where a destination stands', () => {
  async function afterHarm(
    harm: (store: MemoryStore) => void,
  ): Promise<{ said: string[]; snapshots: number }> {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store, primary: { checkpoint: { minPages: 3 } } });
    for (let round = 0; round < 6; round++) {
      scene.live.insert(3, 1500);
      await scene.sync();
      await scene.refresh();
    }
    harm(store);
    store.nowMs += 1000;
    await scene.restart();
    await scene.refresh();
    scene.live.insert(1);
    scene.run();
    const pump = setInterval(() => void scene.refresh(), 20);
    try {
      await scene.until(
        'it is level again',
        () => scene.replica.isCaughtUp && scene.replica.status.state === 'streaming',
      );
    } finally {
      clearInterval(pump);
    }
    await scene.stop();
    await scene.assertRestores();
    return { said: scene.logger.messages('warn'), snapshots: keysOf(store, '/snapshots/').length };
  }

  it('a gap, a damaged or a missing last segment, one too many: a fresh start that restores', async () => {
    const harms: [(store: MemoryStore) => void, RegExp][] = [
      [(store) => void store.objects.delete(keysOf(store, '/wal/')[2] ?? ''), /gap|broken|not at hand/],
      [
        (store) => {
          const key = keysOf(store, '/wal/').at(-1) ?? '';
          store.put(key, store.bytesOf(key).subarray(0, 60));
        },
        /damaged/,
      ],
    ];
    for (const [harm, said] of harms) {
      const outcome = await afterHarm(harm);
      assert.match(outcome.said.join('; '), said);
      assert.equal(outcome.snapshots, 2);
    }
  });

  it('only a snapshot: the log from its start', async () => {
    const { snapshots } = await afterHarm((store) => {
      for (const key of keysOf(store, '/wal/')) store.objects.delete(key);
    });
    assert.ok(snapshots >= 1);
  });

  it('nothing at all: a snapshot', async () => {
    const { snapshots } = await afterHarm((store) => store.objects.clear());
    assert.equal(snapshots, 1);
  });
});

describe('once', () => {
  it('fails when a snapshot that is due cannot be stored', async () => {
    await using scene = new ReplicaScene({
      settings: { snapshotIntervalMs: 1 },
      primary: SHORT_LOGS,
    });
    await scene.sync();
    scene.live.insert(5);
    await scene.sync();
    scene.live.insert(5);
    await scene.sync();
    scene.store.fault = ({ kind, key }) =>
      kind === 'write' && key.includes('/snapshots/') ? 'fail' : undefined;
    await assert.rejects(scene.replica.once(AbortSignal.timeout(5000)));
  });
});
