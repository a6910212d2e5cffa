/** Proofs of encrypted replicas: with the right keys, with none, and with keys that do not fit. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encryptedStore } from '../../src/storage/encrypted.ts';
import { ageOf, newKeyPair } from '../support/age-keys.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { ReplicaScene } from '../support/replica-scene.ts';
import { untilQuiet } from '../support/until.ts';

const VERIFY = { intervalMs: 0, quickIntervalMs: 40, maxSizeBytes: 0 };
const ALARM = 'the destination does not restore';

async function running(
  place: MemoryStore,
  keys: Parameters<typeof ageOf>[0],
  verify: typeof VERIFY = VERIFY,
): Promise<ReplicaScene> {
  const store = encryptedStore(place, await ageOf(keys));
  const settings = { recordsUploads: true, isEncrypted: true, verify };
  const scene = new ReplicaScene({ store, settings });
  for (let round = 0; round < 3; round += 1) {
    scene.live.insert(3, 900);
    await scene.sync();
  }
  scene.run();
  return scene;
}

async function news(scene: ReplicaScene): Promise<void> {
  scene.live.insert(1);
  await scene.refresh();
  await scene.until('it is stored', () => scene.replica.isCaughtUp);
}

describe('proofs of encrypted replicas', () => {
  it('with the identity: proven; an object for somebody else is damage, and healed', async () => {
    const [own, other] = [await newKeyPair(), await newKeyPair()];
    const place = new MemoryStore();
    await using scene = await running(place, { recipients: [own.recipient], identities: [own.identity] });
    await scene.until('it is proven', () => scene.replica.status.proof?.outcome === 'proven');
    const key = place.keys().findLast((one) => one.includes('/wal/')) ?? '';
    const foreign = encryptedStore(place, await ageOf({ recipients: [other.recipient] }));
    await foreign.write(key, new Uint8Array(500));
    await news(scene);
    await scene.until('it is noticed', () => scene.logger.matching(ALARM).length > 0);
    await scene.until('it is healed', () => scene.replica.status.proof?.outcome === 'proven');
    assert.equal(scene.logger.matching(ALARM).length, 1);
    await scene.assertRestores();
  });

  it('with an identity that does not fit: damage that no snapshot heals, and not one after the other', async () => {
    const [own, other] = [await newKeyPair(), await newKeyPair()];
    const place = new MemoryStore();
    await using scene = await running(place, { recipients: [own.recipient], identities: [other.identity] });
    await scene.until('it is noticed', () => scene.logger.matching(ALARM).length > 0);
    for (let round = 0; round < 5; round += 1) {
      await news(scene);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(scene.replica.status.proof?.outcome, 'broken');
    assert.equal(scene.logger.matching(ALARM).length, 1);
    assert.ok(scene.facts.filter((fact) => fact === 'snapshot').length <= 2);
  });

  it('with recipients alone a full proof is left out, and is no duty that fails', async () => {
    const own = await newKeyPair();
    const place = new MemoryStore();
    const keys = { recipients: [own.recipient] };
    for (const quickIntervalMs of [0, 40]) {
      await using scene = await running(place, keys, { ...VERIFY, intervalMs: 50, quickIntervalMs });
      await scene.until('it is left open', () => scene.replica.status.proof?.outcome === 'inconclusive');
      await news(scene);
      await new Promise((resolve) => setTimeout(resolve, 250));
      assert.equal(scene.replica.status.lastError, undefined);
      assert.deepEqual(scene.logger.messages('error'), []);
      // The second database is another one, and what the first one stored cannot be read.
      const warned = scene.logger.messages('warn').filter((line) => !line.includes('is not known'));
      assert.deepEqual(warned, []);
      assert.equal(scene.logger.matching('there is no identity to read it with').length, 1);
    }
  });

  it('with recipients alone nothing can be said, and nobody is alarmed', async () => {
    const own = await newKeyPair();
    const place = new MemoryStore();
    await using scene = await running(place, { recipients: [own.recipient] });
    await scene.until('it is left open', () => scene.replica.status.proof?.outcome === 'inconclusive');
    await news(scene);
    await untilQuiet('nothing changes by trying again and again', () => scene.store.calls.length, 400);
    assert.deepEqual(scene.logger.messages('error'), []);
    assert.equal(scene.logger.matching('there is no identity to read it with').length, 1);
    assert.equal(scene.facts.filter((fact) => fact === 'snapshot').length, 1);
  });
});
