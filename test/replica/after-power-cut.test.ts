/** What a destination got before the power was cut, and the disk did not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { noteFiles } from '../support/turn-back.ts';

/** The snapshot stands behind commits that have not been synced; nothing of the log gets there. */
async function storeSnapshotAlone(scene: ReplicaScene): Promise<() => void> {
  scene.live.insert(3, 3000);
  await scene.refresh();
  const comeBack = noteFiles(scene.live);
  scene.live.exec("UPDATE t SET body = 'what will be lost' WHERE id = 1");
  scene.store.fault = ({ kind, key }) => (kind === 'write' && key.includes('/wal/') ? 'fail' : undefined);
  await assert.rejects(scene.sync(), { code: 'STORAGE_FAILED' });
  assert.deepEqual(scene.facts, ['snapshot']);
  scene.store.fault = () => undefined;
  return comeBack;
}

/** A generation that has to be given up fails once. The next one is later. */
async function syncAnew(scene: ReplicaScene, store: MemoryStore): Promise<void> {
  store.nowMs += 1000;
  await scene.sync().catch(async () => scene.sync());
}

describe('a segment of frames that others have replaced', () => {
  it('is not continued by the next log, although it ends where its own log ended', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    const change = (id: number): void =>
      scene.live.exec(`UPDATE t SET body = 'changed' || randomblob(1000) WHERE id = ${id}`);
    scene.live.insert(8, 3000);
    await scene.sync();
    scene.live.insert(1);
    await scene.sync();
    const comeBack = noteFiles(scene.live);
    change(1);
    await scene.sync();
    const { position } = scene.primary;
    await scene.restart(() => {
      scene.live.close();
      comeBack();
      scene.live.exec('PRAGMA wal_autocheckpoint=0');
      change(7);
    });
    await scene.refresh();
    assert.deepEqual(scene.primary.position, position);
    await scene.primary.beginLog();
    change(8);
    await scene.refresh();
    assert.equal(scene.primary.position?.index, (position?.index ?? 0) + 1);
    await syncAnew(scene, store);
    await scene.assertRestores();
  });
});

describe('a first snapshot without its log', () => {
  it('is not continued when the log has lost what it was made of, and went on otherwise', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    const comeBack = await storeSnapshotAlone(scene);
    const { generation } = scene.primary;
    await scene.restart(() => {
      scene.live.close();
      comeBack();
      // As much as was lost, and something else: by its length nothing shows.
      scene.live.insert(5, 3000);
    });
    await syncAnew(scene, store);
    await scene.assertRestores();
    assert.notEqual(scene.primary.generation, generation);
  });

  it('is not continued when the log ends before it', async () => {
    const store = new MemoryStore();
    await using scene = new ReplicaScene({ store });
    const comeBack = await storeSnapshotAlone(scene);
    await scene.restart(() => {
      scene.live.close();
      comeBack();
    });
    await syncAnew(scene, store);
    await scene.assertRestores();
  });

  it('is continued after a restart of the process alone', async () => {
    await using scene = new ReplicaScene();
    await storeSnapshotAlone(scene);
    const { generation } = scene.primary;
    await scene.restart(() => scene.live.insert(2, 3000));
    await scene.sync();
    await scene.assertRestores();
    assert.equal(scene.primary.generation, generation);
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 1);
  });
});
