/** A store whose listings are behind: what is there already seems to be missing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { ObjectInfo } from '../../src/storage/object-store.ts';
import { segmentKey } from '../../src/generations/names.ts';
import type { StoreCall } from '../support/faulty-store.ts';
import type { PrimaryShape } from '../support/live-database.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

class LaggingStore extends MemoryStore {
  #unlisted = new Set<string>();
  isEmpty = false;

  /** Only what is there now is listed; all of it when nothing is given. */
  unlist(keys: readonly string[] = []): void {
    this.#unlisted = new Set(keys);
  }

  override async *list(...call: Parameters<MemoryStore['list']>): AsyncGenerator<ObjectInfo> {
    if (this.isEmpty) return;
    for await (const info of super.list(...call)) if (!this.#unlisted.has(info.key)) yield info;
  }
}

/** Time that passes when a test says so. */
class LaterClock implements Clock {
  #laterMs = 0;

  pass(ms: number): void {
    this.#laterMs += ms;
  }

  now(): number {
    return systemClock.now();
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#laterMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(Math.min(ms, 50), signal);
  }
}

const LOGS: PrimaryShape = { checkpoint: { minPages: 10 } };

/** Each sync finds a log that has begun since the one before. */
async function syncLogs(scene: ReplicaScene, clock: LaterClock, count: number, ms = 60_000): Promise<void> {
  for (let log = 0; log < count; log += 1) {
    clock.pass(ms);
    scene.live.insert(20, 3000);
    await scene.sync();
  }
}

const isListing = ({ kind }: StoreCall): boolean => kind === 'list' || kind === 'listFolders';

function snapshots({ facts }: ReplicaScene): number {
  return facts.filter((fact) => fact === 'snapshot').length;
}

describe('a listing that is behind', () => {
  it('gets no snapshot that stands further than the log that lies there already', async () => {
    const store = new LaggingStore();
    await using scene = new ReplicaScene({ store, primary: { checkpoint: { minPages: 10 } } });
    for (const rows of [20, 20, 1]) {
      scene.live.insert(rows, 3000);
      await scene.sync();
    }
    scene.live.insert(1);
    await scene.restart();
    const segments = store.keys().filter((key) => key.includes('/wal/'));
    assert.ok(segments.length >= 3 && segments.at(-1)?.includes('_00000000.'), segments.join());
    store.unlist(segments.slice(1));
    await assert.rejects(scene.sync(), { code: 'STORAGE_FAILED', message: /it is behind/ });
    store.unlist();
    await scene.sync();
    await scene.assertRestores();
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 1);
  });

  it('costs no snapshot when a log begins, although it is always empty', async () => {
    const clock = new LaterClock();
    const store = new LaggingStore();
    await using scene = new ReplicaScene({ store, clock, primary: LOGS });
    store.isEmpty = true;
    await syncLogs(scene, clock, 6);
    assert.equal(snapshots(scene), 1);
    assert.equal(scene.facts.includes('failure'), false);
    store.isEmpty = false;
    await scene.assertRestores();
  });

  it('is not believed about what was stored here: later it costs another generation, and no more', async () => {
    const clock = new LaterClock();
    const store = new LaggingStore();
    await using scene = new ReplicaScene({ store, clock, primary: LOGS });
    await syncLogs(scene, clock, 3);
    scene.live.insert(1);
    await scene.sync();
    await scene.restart();
    store.isEmpty = true;
    scene.live.insert(1);
    await assert.rejects(scene.sync(), { code: 'STORAGE_FAILED', message: /it is behind/ });
    assert.equal(snapshots(scene), 1);
    clock.pass(59_000);
    await assert.rejects(scene.sync(), { code: 'STORAGE_FAILED', message: /it is behind/ });
    clock.pass(2_000);
    await assert.rejects(scene.sync(), { code: 'CHAIN_BROKEN' });
    store.nowMs += 60_000;
    await syncLogs(scene, clock, 4);
    assert.equal(snapshots(scene), 2);
    store.isEmpty = false;
    await scene.assertRestores();
  });

  it('does not hold up uploads for ever when it ends before what is there', async () => {
    const clock = new LaterClock();
    const store = new LaggingStore();
    await using scene = new ReplicaScene({ store, clock });
    const listed = new Set<string>();
    for (let round = 0; round < 4; round += 1) {
      scene.live.insert(3);
      await scene.sync();
      if (round === 1) for (const key of store.keys()) listed.add(key);
    }
    store.unlist(store.keys().filter((key) => !listed.has(key)));
    await scene.restart();
    scene.live.insert(1);
    const isBehind = { code: 'STORAGE_FAILED', message: /_.* which is there: it is behind/ };
    await assert.rejects(scene.sync(), isBehind);
    clock.pass(59_000);
    await assert.rejects(scene.sync(), isBehind);
    clock.pass(2_000);
    store.nowMs += 60_000;
    await assert.rejects(scene.sync(), { code: 'CHAIN_BROKEN' });
    await scene.sync();
    assert.ok(scene.replica.isCaughtUp);
    assert.equal(snapshots(scene), 2);
    store.unlist();
    await scene.assertRestores();
  });

  it('hides nothing of a session that ended: it is asked for by name', async () => {
    const clock = new LaterClock();
    const store = new LaggingStore();
    await using scene = new ReplicaScene({ store, clock, primary: LOGS });
    await syncLogs(scene, clock, 3);
    const before = store.keys();
    scene.live.insert(1);
    await scene.refresh();
    // Somebody's object is in the way of the next segment, so the destination is looked at again.
    const generation = scene.primary.generation ?? '';
    const position = scene.primary.position;
    assert.ok(position !== undefined);
    const next = scene.replica.stored?.position;
    assert.ok(next !== undefined);
    const at = next.index === position.index ? next : { index: position.index, offsetBytes: 0 };
    const inTheWay = segmentKey(generation, at);
    store.put(inTheWay, new Uint8Array([1]));
    store.unlist(before.filter((key) => key.includes('/snapshots/')));
    await assert.rejects(scene.sync(), { code: 'STORAGE_FAILED', message: /lacks .*snapshot.*it is behind/ });
    store.unlist();
    store.objects.delete(inTheWay);
    await scene.sync();
    assert.equal(snapshots(scene), 1);
    await scene.assertRestores();
  });
});

describe('a listing that is refused', () => {
  for (const [title, fault] of [
    ['at once', 'fail'],
    ['by silence', 'hang'],
  ] as const) {
    it(`stops no upload, ${title}, and is told once`, async () => {
      const clock = new LaterClock();
      await using scene = new ReplicaScene({ clock, primary: LOGS });
      await syncLogs(scene, clock, 1);
      scene.store.fault = (call) =>
        isListing(call) || (call.kind === 'read' && call.key.includes('/snapshots/')) ? fault : undefined;
      await syncLogs(scene, clock, 6);
      assert.ok(scene.replica.isCaughtUp);
      assert.equal(scene.facts.includes('failure'), false);
      assert.equal(snapshots(scene), 1);
      const told = scene.logger.messages().filter((message) => message.startsWith('looking whether'));
      assert.equal(told.length, 1, told.join('\n'));
      await scene.assertRestores();
    });
  }

  it('is tried again after pauses that grow', async () => {
    const clock = new LaterClock();
    await using scene = new ReplicaScene({ clock, primary: LOGS });
    await syncLogs(scene, clock, 1);
    scene.store.fault = ({ kind, key }) =>
      kind === 'read' && key.includes('/snapshots/') ? 'fail' : undefined;
    const looks = (): number =>
      scene.store.calls.filter(({ kind, key }) => kind === 'read' && key.includes('/snapshots/')).length;
    const before = looks();
    await syncLogs(scene, clock, 60, 6_000);
    const tried = looks() - before;
    assert.ok(tried >= 3 && tried <= 12, `${tried} looks in six minutes`);
  });

  it('does not keep another generation waiting', async () => {
    const clock = new LaterClock();
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store, clock, primary: LOGS });
    await syncLogs(scene, clock, 1);
    scene.store.fault = (call) => (isListing(call) ? 'fail' : undefined);
    store.nowMs += 60_000;
    await scene.primary.abandonGeneration(scene.primary.generation ?? '', 'for a test');
    await syncLogs(scene, clock, 2);
    assert.equal(snapshots(scene), 2);
    await scene.assertRestores();
  });
});
