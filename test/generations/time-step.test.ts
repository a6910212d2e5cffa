/** Times in whole seconds: what may have been stored after the moment that was asked for is left out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inventoryOf, type Inventory, readInventory } from '../../src/generations/inventory.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { newestRestorablePoint } from '../../src/generations/restorable-points.ts';
import { tryPlanRestore } from '../../src/generations/restore-plan.ts';
import { planRetention } from '../../src/generations/retention-plan.ts';
import { describeStep } from '../../src/generations/time-step.ts';
import { choosePoint } from '../../src/verify/choose-point.ts';
import { MemoryStore } from '../support/memory-store.ts';

const G = '0011223344556677';
const NOON = Date.parse('2026-01-31T12:00:00Z');

/** A snapshot at noon, and a segment in each of the seconds after it. */
function replica(segments: number, timeStepMs: number): Inventory {
  const object = (key: string, second: number): { key: string; sizeBytes: number; modifiedAt: Date } => ({
    key,
    sizeBytes: 1,
    modifiedAt: new Date(NOON + second * 1000),
  });
  return inventoryOf(
    [
      object(snapshotKey(G, 0), 0),
      ...Array.from({ length: segments }, (_, i) =>
        object(segmentKey(G, { index: 0, offsetBytes: i * 4152 }), i + 1),
      ),
    ],
    timeStepMs,
  );
}

function segmentsAt(inventory: Inventory, timestampMs: number): number | string {
  const { plan, failure } = tryPlanRestore(inventory, { timestampMs });
  return plan?.segments.length ?? failure?.message ?? '';
}

describe('a moment at a store with whole seconds', () => {
  it('takes what was surely stored by then, and nothing of the second after', () => {
    const inventory = replica(3, 1000);
    assert.equal(segmentsAt(inventory, NOON + 2000), 1);
    assert.equal(segmentsAt(inventory, NOON + 2998), 1);
    assert.equal(segmentsAt(inventory, NOON + 2999), 2);
    assert.equal(segmentsAt(inventory, NOON + 60_000), 3);
    assert.equal(tryPlanRestore(inventory, {}).plan?.segments.length, 3);
    assert.equal(tryPlanRestore(inventory, {}).plan?.timeStepMs, 1000);
    // The same listing with times that are exact.
    assert.equal(segmentsAt(replica(3, 1), NOON + 2000), 2);
    assert.equal(tryPlanRestore(replica(3, 1), {}).plan?.timeStepMs, undefined);
  });

  it('before the first one is named together with the first that there is', () => {
    const inventory = replica(1, 1000);
    assert.match(
      String(segmentsAt(inventory, NOON)),
      /as of 2026-01-31T12:00:00\.000Z: the replica reaches from 2026-01-31T12:00:00\.999Z to 2026-01-31T12:00:01\.999Z \(the times of this store are whole seconds\)/,
    );
    assert.equal(segmentsAt(inventory, NOON + 999), 0);
  });

  it('is suggested so that it leads to the object that it stands for', () => {
    const inventory = replica(3, 1000);
    const broken = { generation: G, from: { index: 0, offsetBytes: 2 * 4152 }, keys: new Set<string>() };
    const point = newestRestorablePoint(inventory, broken);
    assert.equal(point?.flags, `-generation ${G} -timestamp 2026-01-31T12:00:02.999Z`);
    assert.equal(tryPlanRestore(inventory, point.target).plan?.segments.length, 2);
  });

  it('is chosen for a proof so that it can be restored', () => {
    const inventory = replica(3, 1000);
    for (let at = 0; at < 1; at += 0.01) {
      const chosen = choosePoint(inventory, Number.NEGATIVE_INFINITY, () => at);
      assert.ok(chosen !== undefined && tryPlanRestore(inventory, chosen.target).plan !== undefined);
    }
  });

  it('at the beginning of the retention stays restorable', () => {
    const objects = [snapshotKey(G, 0), segmentKey(G, { index: 0, offsetBytes: 0 }), snapshotKey(G, 1)];
    const inventory = inventoryOf(
      objects.map((key, i) => ({ key, sizeBytes: 1, modifiedAt: new Date(NOON + i * 1000) })),
      1000,
    );
    assert.deepEqual(planRetention(inventory, 1000, NOON + 3000).keys, []);
    assert.deepEqual(planRetention(inventory, 1000, NOON + 3999).keys.length, 2);
  });
});

describe('how exact times are', () => {
  it('is what the store says, or else what its listing shows', async () => {
    const store = new MemoryStore();
    store.put(snapshotKey(G, 0), Buffer.from('x'), NOON);
    const stepOf = async (): Promise<number | undefined> => (await readInventory(store)).timeStepMs;
    assert.equal(await stepOf(), undefined);
    store.timeStepMs = 1000;
    assert.equal(await stepOf(), 1000);
    store.timeStepMs = undefined;
    assert.equal(await stepOf(), 1000);
    store.put(segmentKey(G, { index: 0, offsetBytes: 0 }), Buffer.from('x'), NOON + 1);
    assert.equal(await stepOf(), undefined);
  });

  it('is two seconds where many times are even, as on FAT', async () => {
    const store = new MemoryStore();
    store.timeStepMs = undefined;
    const put = (i: number): void =>
      store.put(segmentKey(G, { index: 0, offsetBytes: i * 4152 }), Buffer.from('x'), NOON + i * 2000);
    for (let i = 0; i < 15; i++) put(i);
    assert.equal((await readInventory(store)).timeStepMs, 1000);
    put(15);
    assert.equal((await readInventory(store)).timeStepMs, 2000);
  });

  it('is told where it is not exact', () => {
    assert.equal(describeStep(undefined), undefined);
    assert.equal(describeStep(1), undefined);
    assert.equal(describeStep(1000), 'the times of this store are whole seconds');
    assert.equal(describeStep(2000), 'the times of this store have steps of 2 seconds');
  });
});
