/**
 * A running replica that proves itself: every kind of damage is noticed within one interval, told once, healed by a fresh
 * snapshot, and proven again; what is intact of the older history stays restorable.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readInventory } from '../../src/generations/inventory.ts';
import { restore } from '../../src/restore/restore.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene, SHORT_LOGS } from '../support/replica-scene.ts';
import { Scratch } from '../support/scratch.ts';
import { untilQuiet } from '../support/until.ts';

const VERIFY = { intervalMs: 0, quickIntervalMs: 40, maxSizeBytes: 0 };
const ALARM = 'the destination does not restore';

interface Setting {
  readonly scene: ReplicaScene;
  readonly store: MemoryStore;
}

/** A proven replica of some logs and segments that goes on running. */
async function proven(verify: typeof VERIFY = VERIFY): Promise<Setting> {
  const store = new MemoryStore();
  store.nowMs = Date.now() - 60_000;
  const settings = { verify };
  const scene = new ReplicaScene({ store, settings, primary: { checkpoint: { minPages: 6 } } });
  for (let round = 0; round < 6; round += 1) {
    scene.live.insert(3, 900);
    store.nowMs += 1000;
    await scene.sync();
  }
  scene.run();
  await news(scene, store);
  await scene.until('it is proven', () => scene.replica.status.proof?.outcome === 'proven');
  return { scene, store };
}

/** A commit that arrives. */
async function news(scene: ReplicaScene, store: MemoryStore): Promise<void> {
  store.nowMs += 1000;
  scene.live.insert(1, 900);
  await scene.refresh();
  await scene.until('it is stored', () => scene.replica.isCaughtUp);
}

function segments(store: MemoryStore): string[] {
  return store.keys().filter((key) => key.includes('/wal/'));
}

function flip(store: MemoryStore, key: string, at: number): void {
  const damaged = store.bytesOf(key).slice();
  damaged[at] = (damaged[at] ?? 0) ^ 8;
  store.nowMs += 1;
  store.put(key, damaged);
}

const FAULTS: Readonly<Record<string, (setting: Setting) => void>> = {
  'a segment is deleted': ({ store }) => void store.objects.delete(segments(store).at(-3) ?? ''),
  'the first segment of a log is deleted': ({ store }) =>
    void store.objects.delete(segments(store).findLast((key) => key.endsWith('_00000000.wal.lz4')) ?? ''),
  'the last segment is deleted': ({ store }) => void store.objects.delete(segments(store).at(-1) ?? ''),
  'a segment is truncated': ({ store }) => {
    const key = segments(store).at(-2) ?? '';
    store.put(key, store.bytesOf(key).slice(0, 40));
  },
  'a bit of the compressed data is flipped': ({ store }) => {
    const key = segments(store).at(-1) ?? '';
    flip(store, key, store.bytesOf(key).length >>> 1);
  },
  'a bit of an annotation is flipped': ({ store }) =>
    flip(store, segments(store).findLast((key) => key.endsWith('_00000000.wal.lz4')) ?? '', 20),
  'a bit of the snapshot is flipped': ({ store }) => {
    const key = store.keys().find((one) => one.includes('/snapshots/')) ?? '';
    flip(store, key, store.bytesOf(key).length - 40);
  },
  'a segment is replaced by an older one': ({ store }) => {
    const [older = '', newer = ''] = segments(store).slice(-3);
    store.put(newer, store.bytesOf(older));
  },
  'the snapshot is missing': ({ store }) => {
    for (const key of store.keys()) if (key.includes('/snapshots/')) store.objects.delete(key);
  },
  'the destination is emptied': ({ store }) => store.objects.clear(),
};

describe('a running replica proves itself', () => {
  for (const [name, damage] of Object.entries(FAULTS)) {
    it(`${name}: told once, healed, proven again`, async () => {
      const { scene, store } = await proven();
      await using _scene = scene;
      const snapshots = scene.facts.filter((fact) => fact === 'snapshot').length;
      damage({ scene, store });
      await news(scene, store);
      await scene.until('it is noticed', () => scene.logger.matching(ALARM).length > 0);
      await scene.until('it is healed', () => scene.replica.status.proof?.outcome === 'proven');
      assert.equal(scene.logger.matching(ALARM).length, 1);
      assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, snapshots + 1);
      await news(scene, store);
      await scene.assertRestores();
      assert.deepEqual(scene.logger.messages('error').length, 1);
    });
  }

  it('what was intact before the damage stays restorable', async () => {
    const { scene, store } = await proven();
    await using _scene = scene;
    const early = segments(store)[2] ?? '';
    const { timeMs = 0 } = store.objects.get(early) ?? {};
    store.objects.delete(segments(store).at(-2) ?? '');
    await news(scene, store);
    await scene.until('it is healed', () => scene.logger.matching('a fresh snapshot is stored').length > 0);
    await scene.until('it is proven', () => scene.replica.status.proof?.outcome === 'proven');
    using scratch = new Scratch();
    const outputPath = scratch.file('early');
    await restore({ store, target: { timestampMs: timeMs }, outputPath, integrityCheck: 'full' });
    const { generations } = await readInventory(store);
    assert.equal(generations.length, 1, 'the generation goes on behind the damage');
  });

  it('nothing is read or listed while nothing is written', async () => {
    const { scene } = await proven();
    await using _scene = scene;
    await scene.until('the last proof is over', () => scene.replica.status.proof?.outcome === 'proven');
    await untilQuiet('the destination', () => scene.store.calls.length, 400);
  });

  it('what somebody removes while nothing is written is missed all the same', async () => {
    const { scene, store } = await proven({ ...VERIFY, intervalMs: 200 });
    await using _scene = scene;
    const full = (): boolean => scene.facts.includes('proof full proven');
    await scene.until('it is restored once', full);
    const isListing = (kind: string): boolean => kind === 'list' || kind === 'listFolders';
    await untilQuiet('reading', () => scene.store.calls.filter(({ kind }) => !isListing(kind)).length, 400);
    const { length } = scene.store.calls;
    await scene.until('it is listed again', () => scene.store.calls.length > length);
    const later = scene.store.calls.slice(length);
    assert.deepEqual(
      later.filter(({ kind }) => !isListing(kind)),
      [],
      'what is as it was is not read again',
    );
    store.objects.delete(segments(store).at(-3) ?? '');
    await scene.until('it is noticed', () => scene.logger.matching(ALARM).length > 0);
    await scene.until('it is healed', () => scene.replica.status.proof?.outcome === 'proven');
    await scene.assertRestores();
  });

  it('a restart goes on where the proof stood, and reads nothing when nothing is new', async () => {
    const { scene, store } = await proven();
    await using _scene = scene;
    await untilQuiet('the destination', () => scene.store.calls.length, 200);
    await scene.restart();
    scene.run();
    await news(scene, store);
    await untilQuiet('the destination', () => scene.store.calls.length, 200);
    scene.store.calls.length = 0;
    await news(scene, store);
    await scene.until('it is proven', () => scene.replica.status.proof?.outcome === 'proven');
    const read = scene.store.calls.filter(({ kind }) => kind === 'read' || kind === 'readBytes');
    assert.ok(read.length <= 2, JSON.stringify(read));
  });

  it('a destination that is away is no damage', async () => {
    const { scene, store } = await proven();
    await using _scene = scene;
    await news(scene, store);
    scene.store.fault = ({ kind }) => (kind === 'readBytes' ? 'fail' : undefined);
    await news(scene, store);
    await scene.until('it is left open', () => scene.replica.status.proof?.outcome === 'inconclusive');
    assert.deepEqual(scene.logger.messages('error'), []);
    scene.store.fault = () => undefined;
    await scene.until('it is proven', () => scene.replica.status.proof?.outcome === 'proven');
    assert.deepEqual(scene.logger.messages('error'), []);
  });

  it('a full proof: the newest state and an older moment, remembered over a restart', async () => {
    const store = new MemoryStore();
    store.nowMs = Date.now() - 60_000;
    const verify = { intervalMs: 60, quickIntervalMs: 0, maxSizeBytes: 0 };
    await using scene = new ReplicaScene({ store, settings: { verify } });
    scene.run();
    for (let round = 0; round < 3; round += 1) {
      await news(scene, store);
      const { length } = scene.facts.filter((fact) => fact === 'proof full proven');
      await scene.until('both are proven', () => {
        return scene.facts.filter((fact) => fact === 'proof full proven').length >= length + 2;
      });
    }
    const { proof } = scene.replica.status;
    assert.equal(proof?.outcome, 'proven');
    assert.ok((proof?.restoreMs ?? 0) > 0);
    assert.match(proof?.message ?? '', /^restorable until .*, proven at .*, a restore takes \d+\.\d s$/);
    assert.deepEqual(scene.logger.messages('error'), []);
    await scene.stop();
    assert.ok(scene.live.scratch.names().every((name) => !name.includes('validation')));
  });

  it('damage in older history that a full proof finds is told once, and needs no fresh snapshot', async () => {
    const store = new MemoryStore();
    store.nowMs = Date.now() - 60_000;
    const verify = { intervalMs: 60, quickIntervalMs: 0, maxSizeBytes: 0 };
    const settings = { verify, snapshotIntervalMs: 1 };
    await using scene = new ReplicaScene({ store, settings, primary: SHORT_LOGS });
    for (let round = 0; round < 8; round += 1) {
      scene.live.insert(3, 900);
      store.nowMs += 1000;
      await scene.sync();
      await scene.replica.once(new AbortController().signal);
    }
    const held = store.keys().filter((key) => key.includes('/snapshots/'));
    assert.ok(held.length > 2);
    const [oldest = ''] = held;
    // Rotten bits leave the object's time alone.
    const { timeMs } = store.objects.get(oldest) ?? {};
    flip(store, oldest, store.bytesOf(oldest).length - 40);
    store.put(oldest, store.bytesOf(oldest), timeMs);
    scene.run();
    const proofs = (): number => scene.facts.filter((fact) => fact.startsWith('proof full')).length;
    const isAlarmed = (): boolean => scene.logger.matching(ALARM).length > 0;
    // Which moment is proven is left to chance.
    for (let round = 0; round < 200 && !isAlarmed(); round += 1) {
      const before = proofs();
      await news(scene, store);
      await scene.until('a proof', () => proofs() > before);
    }
    assert.equal(scene.logger.matching(ALARM).length, 1);
    assert.match(JSON.stringify(scene.logger.matching(ALARM)[0]?.fields), new RegExp(oldest));
    assert.equal(scene.logger.matching('a fresh snapshot is stored behind').length, 0);
    await scene.stop();
  });

  it('a database that is too large is not restored by itself, which is said once', async () => {
    const verify = { intervalMs: 20, quickIntervalMs: 0, maxSizeBytes: 1 };
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store, settings: { verify } });
    scene.run();
    for (let round = 0; round < 3; round += 1) {
      await news(scene, store);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    assert.equal(scene.logger.matching('is larger than `max-size`').length, 1);
    assert.deepEqual(
      scene.facts.filter((fact) => fact.includes('valid')),
      [],
    );
  });
});

describe('a running replica at a store whose listings lack what is there', () => {
  it('raises no alarm, stores no snapshot, and is proven when they show it', async () => {
    const { scene, store } = await proven({ ...VERIFY, intervalMs: 200 });
    await using _scene = scene;
    const snapshots = scene.facts.filter((fact) => fact === 'snapshot').length;
    const list = store.list.bind(store);
    for (const hidesAll of [true, false]) {
      const listed = new Set(store.keys());
      store.list = async function* (...call) {
        for await (const info of list(...call)) if (!hidesAll && listed.has(info.key)) yield info;
      };
      for (let round = 0; round < 4; round += 1) {
        scene.live.insert(3, 900);
        await news(scene, store);
      }
      const outcome = hidesAll ? 'proof quick inconclusive' : 'proof quick proven';
      const count = (): number => scene.facts.filter((fact) => fact === outcome).length;
      const before = count();
      await scene.until('it was looked at', () => count() > before);
      assert.deepEqual(scene.logger.messages('error'), []);
      store.list = list;
      await news(scene, store);
      await scene.until('it is proven', () => scene.replica.status.proof?.outcome === 'proven');
    }
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, snapshots);
    assert.equal(scene.facts.includes('invalid'), false);
    await scene.assertRestores();
  });
});
