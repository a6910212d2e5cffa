/** The pure decisions: which older moment, what is done about damage, what of a listing has changed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assembleGeneration, assembleInventory, type Inventory } from '../../src/generations/inventory.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { decideHeal, type HealFacts } from '../../src/replica/heal-policy.ts';
import { choosePoint } from '../../src/verify/choose-point.ts';
import { extendDigests, firstChangedLog } from '../../src/verify/log-digest.ts';

const HOUR_MS = 3_600_000;
const OLD = '00000000000000aa';
const NEW = '00000000000000bb';

function segment(generation: string, index: number, offsetBytes: number, createdAt: number) {
  return {
    key: segmentKey(generation, { index, offsetBytes }),
    sizeBytes: 100,
    createdAt,
    index,
    offsetBytes,
  };
}

function snapshot(generation: string, index: number, createdAt: number) {
  return { key: snapshotKey(generation, index), sizeBytes: 1000, createdAt, index };
}

function inventory(): Inventory {
  const old = assembleGeneration(OLD, {
    snapshots: [snapshot(OLD, 0, 1000), snapshot(OLD, 2, 3000)],
    segments: [segment(OLD, 0, 0, 1100), segment(OLD, 1, 0, 2000), segment(OLD, 2, 0, 3100)],
    ends: [],
  });
  const present = assembleGeneration(NEW, {
    snapshots: [snapshot(NEW, 0, 5000)],
    segments: [segment(NEW, 0, 0, 5100), segment(NEW, 0, 4152, 6000)],
    ends: [],
  });
  return assembleInventory([old, present]);
}

describe('which older moment is restored', () => {
  it('every border comes up, and nothing outside the window', () => {
    const chosen = new Map<string, number>();
    for (let n = 0; n < 400; n += 1) {
      let draw = 0;
      const numbers = [n / 400, ((n * 7) % 400) / 400, ((n * 13) % 400) / 400, ((n * 31) % 400) / 400];
      const point = choosePoint(inventory(), 2500, () => numbers[draw++ % numbers.length] ?? 0);
      assert.ok(point !== undefined);
      chosen.set(point.what, (chosen.get(point.what) ?? 0) + 1);
      if (point.what === 'the oldest moment that is kept') assert.equal(point.target.timestampMs, 2500);
      if (point.what === 'the end of a former generation') assert.equal(point.target.generation, OLD);
      if (point.what === 'a moment at random') assert.ok((point.target.timestampMs ?? 0) >= 2500);
    }
    assert.equal(chosen.size, 4, JSON.stringify([...chosen]));
    assert.ok(
      [...chosen.values()].every((count) => count > 20),
      JSON.stringify([...chosen]),
    );
  });

  it('an empty replica has none', () => {
    assert.equal(choosePoint(assembleInventory([]), 0, Math.random), undefined);
  });
});

describe('what is done about damage', () => {
  const FACTS: HealFacts = {
    damagedIndex: 5,
    snapshotIndex: 5,
    heals: 0,
    healedAtMs: undefined,
    nowMs: 100 * HOUR_MS,
  };

  it('a fresh snapshot at once, unless a good one stands behind the damage', () => {
    assert.equal(decideHeal(FACTS), 'snapshot');
    assert.equal(decideHeal({ ...FACTS, damagedIndex: undefined }), 'snapshot');
    assert.equal(decideHeal({ ...FACTS, damagedIndex: 4 }), 'history');
  });

  it('the next one an hour later, then two, at most a day', () => {
    const { nowMs } = FACTS;
    const after = (heals: number, hours: number): string =>
      decideHeal({ ...FACTS, heals, healedAtMs: nowMs - hours * HOUR_MS });
    assert.deepEqual([after(1, 0.9), after(1, 1)], ['wait', 'snapshot']);
    assert.deepEqual([after(2, 1.9), after(2, 2)], ['wait', 'snapshot']);
    assert.deepEqual([after(30, 23), after(30, 24)], ['wait', 'snapshot']);
    assert.equal(after(1, -5), 'snapshot', 'the clock was set back');
  });
});

describe('what of a listing has changed', () => {
  const segments = [1, 2, 3].flatMap((index) =>
    [0, 4152, 8272].map((offset) => segment(NEW, index, offset, index * 1000 + offset)),
  );
  const digests = extendDigests([], segments.slice(0, 8));

  it('nothing, also when more came behind', () => {
    assert.equal(firstChangedLog(digests, segments, 0), undefined);
    assert.equal(firstChangedLog(digests, segments.slice(0, 8), 0), undefined);
    assert.deepEqual(extendDigests(extendDigests([], segments.slice(0, 5)), segments.slice(5, 8)), digests);
  });

  it('any known one that is gone, other, or has come between', () => {
    for (const [i, one] of segments.slice(0, 8).entries()) {
      assert.equal(firstChangedLog(digests, segments.toSpliced(i, 1), 0), one.index, `without ${one.key}`);
      for (const change of [{ sizeBytes: 99 }, { createdAt: one.createdAt + 1 }]) {
        assert.equal(firstChangedLog(digests, segments.with(i, { ...one, ...change }), 0), one.index);
      }
    }
    const between = segments.toSpliced(3, 0, segment(NEW, 1, 9999, 1));
    assert.equal(firstChangedLog(digests, between, 0), 1);
  });

  it('whole logs at the old end may go', () => {
    assert.equal(firstChangedLog(digests, segments.slice(3), 2), undefined);
    assert.equal(firstChangedLog(digests, segments.slice(4), 2), 2);
  });
});
