/**
 * A transaction that outgrows the cache and is rolled back leaves a log that has begun and holds nothing: its header counts
 * as a position, yet no destination will ever have an object of it before the next commit.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ReplicaSettings } from '../../src/replica/replica.ts';
import { ReplicaScene } from '../support/replica-scene.ts';

const HEADER_BYTES = 32;
/** What waits for ever shall not hold up the tests. */
const PATIENCE_MS = 5_000;

/** A destination that has everything, and a database whose log has begun anew without a commit. */
async function openScene(
  settings: Partial<ReplicaSettings>,
  before: (scene: ReplicaScene) => Promise<void> = async () => undefined,
): Promise<ReplicaScene> {
  const scene = new ReplicaScene({ settings, primary: { checkpoint: { minPages: 1 } } });
  const { live } = scene;
  for (let log = 0; log < 2; log++) {
    live.insert(5, 1000);
    await scene.sync();
    await scene.sync();
    if (log === 0) await before(scene);
  }
  live.exec('PRAGMA cache_size=5; PRAGMA cache_spill=1; BEGIN');
  live.insert(60, 4000);
  live.exec('ROLLBACK');
  await scene.sync();
  assert.equal(scene.primary.position?.offsetBytes, HEADER_BYTES);
  const { index } = scene.primary.position;
  assert.equal(scene.replica.status.confirmed?.index, index - 1);
  assert.equal(scene.replica.isCaughtUp, true);
  return scene;
}

describe('while the log holds nothing but its header', () => {
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
    for (let n = 0; n < 3; n++) await scene.replica.once(signal);
    const proofs = scene.facts.filter((fact) => fact.startsWith('proof'));
    assert.ok(proofs.length > 0 && proofs.every((fact) => fact === 'proof quick proven'), proofs.join());
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 2);
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
