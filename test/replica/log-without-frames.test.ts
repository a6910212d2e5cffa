/**
 * A transaction that outgrows the cache and is rolled back leaves a log that has begun and holds nothing: its header counts
 * as a position, yet no destination will ever have an object of it before the next commit.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ReplicaSettings } from '../../src/replica/replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene, SHORT_LOGS } from '../support/replica-scene.ts';
import { noteFiles } from '../support/turn-back.ts';

/** What waits for ever shall not hold up the tests. */
const PATIENCE_MS = 5_000;

/** A destination that has everything, and a database whose log has begun anew without a commit. */
async function openScene(
  settings: Partial<ReplicaSettings>,
  before: (scene: ReplicaScene) => Promise<void> = async () => undefined,
  store: MemoryStore = new MemoryStore(),
): Promise<ReplicaScene> {
  const scene = new ReplicaScene({ settings, store, primary: SHORT_LOGS });
  const { live } = scene;
  for (let log = 0; log < 3; log++) {
    live.insert(5, 1000);
    await scene.sync();
    await scene.sync();
    if (log === 1) await before(scene);
  }
  live.exec('PRAGMA cache_size=5; PRAGMA cache_spill=1; BEGIN');
  live.insert(60, 4000);
  live.exec('ROLLBACK');
  await scene.sync();
  assert.equal(scene.primary.position?.offsetBytes, 0);
  const { index } = scene.primary.position;
  assert.equal(scene.replica.status.confirmed?.index, index - 1);
  assert.equal(scene.replica.isCaughtUp, true);
  return scene;
}

describe('while nothing is committed in the WAL', () => {
  it('a snapshot is stored all the same, and stands before what is written then', async () => {
    await using scene = await openScene({ snapshotIntervalMs: 1 });
    await scene.replica.once(AbortSignal.timeout(PATIENCE_MS));
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 2);
    assert.equal(scene.primary.pin, undefined, 'no snapshot is open');
    await scene.assertRestores();
    scene.live.insert(3);
    await scene.sync();
    await scene.assertRestores();
  });

  it('a validation compares with the end of the log before it', async () => {
    await using scene = await openScene({ validationIntervalMs: 1 });
    await scene.replica.once(AbortSignal.timeout(PATIENCE_MS));
    assert.ok(scene.facts.includes('valid'));
  });

  it('a proof finds no damage in a snapshot of it', async () => {
    const verify = { quickIntervalMs: 1, intervalMs: 0, maxSizeBytes: 0 };
    const signal = AbortSignal.timeout(PATIENCE_MS);
    // Something is proven already: the snapshot comes behind it.
    const proven = async ({ replica }: ReplicaScene): Promise<void> => {
      for (let n = 0; n < 3; n++) await replica.once(signal);
    };
    await using scene = await openScene({ snapshotIntervalMs: 1, verify }, proven);
    const snapshots = (): number => scene.facts.filter((fact) => fact === 'snapshot').length;
    const before = snapshots();
    for (let n = 0; n < 3; n++) await scene.replica.once(signal);
    const proofs = scene.facts.filter((fact) => fact.startsWith('proof'));
    assert.ok(proofs.length > 0 && proofs.every((fact) => fact === 'proof quick proven'), proofs.join());
    assert.equal(snapshots(), before + 1);
    assert.equal(scene.replica.status.proof?.outcome, 'proven');
  });

  it('a validation goes by the snapshot where one was made of it', async () => {
    await using scene = await openScene({ snapshotIntervalMs: 1, validationIntervalMs: 1 });
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await scene.replica.once(signal);
    await scene.replica.once(signal);
    assert.ok(scene.facts.includes('valid'));
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 2);
  });
});

describe('a snapshot of a WAL without a commit, and nothing behind it', () => {
  it('is continued after a restart', async () => {
    await using scene = await openScene({ snapshotIntervalMs: 1 });
    await scene.replica.once(AbortSignal.timeout(PATIENCE_MS));
    const { generation, position } = scene.primary;
    // A write into the file could not be told from the one before, had it been made in the same moment.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await scene.restart();
    scene.live.insert(3);
    await scene.sync();
    await scene.assertRestores();
    assert.equal(scene.primary.generation, generation);
    assert.equal(scene.primary.position?.index, position?.index);
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 2);
  });

  it('is not continued by a log of the same index that another history leads to', async () => {
    const store = new MemoryStore();
    let comeBack = (): void => undefined;
    const keep = async ({ live }: ReplicaScene): Promise<void> => {
      comeBack = noteFiles(live);
    };
    await using scene = await openScene({ snapshotIntervalMs: 1 }, keep, store);
    await scene.replica.once(AbortSignal.timeout(PATIENCE_MS));
    const { generation, position } = scene.primary;
    await scene.restart(() => {
      scene.live.close();
      comeBack();
      scene.live.exec('PRAGMA wal_autocheckpoint=0');
    });
    while ((scene.primary.position?.index ?? 0) < (position?.index ?? 0)) {
      // Not what was written the first time.
      scene.live.exec("UPDATE t SET body = 'another history' || randomblob(500) WHERE id = 1");
      await scene.refresh();
      assert.equal(await scene.primary.beginLog(), true);
    }
    assert.equal(scene.primary.generation, generation);
    scene.live.exec("UPDATE t SET body = 'another history' WHERE id = 2");
    // What is written from now on is the newest.
    store.nowMs += 1000;
    await scene.sync().catch(async () => scene.sync());
    assert.notEqual(scene.primary.generation, generation);
    await scene.assertRestores();
  });
});
