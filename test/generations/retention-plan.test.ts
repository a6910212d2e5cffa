import assert from 'node:assert/strict';
import { keptKey } from '../../src/generations/kept.ts';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  type Inventory,
  type SegmentEntry,
  type SnapshotEntry,
  assembleGeneration,
  assembleInventory,
} from '../../src/generations/inventory.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { tryPlanRestore } from '../../src/generations/restore-plan.ts';
import { expiresLater, planRetention } from '../../src/generations/retention-plan.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-03-01T00:00:00Z');

interface Step {
  readonly gapMs: number;
  readonly kind: 'segment' | 'index' | 'snapshot' | 'generation' | 'away';
}

const step: fc.Arbitrary<Step> = fc.record({
  gapMs: fc.oneof(fc.nat(1000), fc.nat(DAY / 4)),
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant('segment' as const) },
    { weight: 3, arbitrary: fc.constant('index' as const) },
    { weight: 3, arbitrary: fc.constant('snapshot' as const) },
    { weight: 1, arbitrary: fc.constantFrom('generation' as const, 'away' as const) },
  ),
});

/** Plays a writer's life up to now, and says what the replica then holds. */
function inventoryAfter(steps: readonly Step[]): Inventory {
  const drafts: { generation: string; snapshots: SnapshotEntry[]; segments: SegmentEntry[] }[] = [];
  let timeMs = NOW - steps.reduce((total, { gapMs }) => total + gapMs, 0);
  let index = 0;
  let offsetBytes = 0;
  const snapshot = (): void => {
    const { generation, snapshots } = drafts.at(-1) as (typeof drafts)[number];
    const key = snapshotKey(generation, index);
    if (!snapshots.some((one) => one.key === key))
      snapshots.push({ key, index, sizeBytes: 10, createdAt: timeMs });
  };
  const segment = (): void => {
    const { generation, segments } = drafts.at(-1) as (typeof drafts)[number];
    const key = segmentKey(generation, { index, offsetBytes });
    segments.push({ key, index, offsetBytes, sizeBytes: 1, createdAt: timeMs });
    offsetBytes += 4152;
  };
  const begin = (): void => {
    const generation = (drafts.length * 7919).toString(16).padStart(16, '0');
    drafts.push({ generation, snapshots: [], segments: [] });
    index = 0;
    offsetBytes = 0;
    snapshot();
  };
  begin();
  for (const { gapMs, kind } of steps) {
    timeMs += gapMs;
    if (kind === 'generation') begin();
    else if (kind === 'snapshot') snapshot();
    else if (kind === 'segment' || offsetBytes === 0) segment();
    else {
      index += kind === 'away' ? 3 : 1;
      offsetBytes = 0;
      if (kind === 'away') snapshot();
      segment();
    }
  }
  return assembleInventory(
    drafts.map(({ generation, snapshots, segments }) =>
      assembleGeneration(generation, { snapshots, segments, ends: [] }),
    ),
  );
}

function without(inventory: Inventory, keys: readonly string[]): Inventory {
  const gone = new Set(keys);
  return assembleInventory(
    inventory.generations.map(({ generation, snapshots, segments, ends }) =>
      assembleGeneration(generation, {
        snapshots: snapshots.filter(({ key }) => !gone.has(key)),
        segments: segments.filter(({ key }) => !gone.has(key)),
        ends: ends.filter(({ key }) => !gone.has(key)),
      }),
    ),
  );
}

/** Where a restore of this moment ends, or undefined when it is not possible. */
function endAt(inventory: Inventory, timestampMs: number): string | undefined {
  const { plan } = tryPlanRestore(inventory, { timestampMs });
  return plan === undefined ? undefined : (plan.segments.at(-1)?.key ?? plan.snapshot.key);
}

function momentsOf(inventory: Inventory, fromMs: number): number[] {
  const times = inventory.generations.flatMap(({ snapshots, segments }) =>
    [...snapshots, ...segments].flatMap(({ createdAt }) => [createdAt - 1, createdAt, createdAt + 1]),
  );
  return [fromMs, NOW, ...times.filter((timeMs) => timeMs >= fromMs && timeMs <= NOW)];
}

describe('retention plan', () => {
  it('keeps every moment of the window restorable, and the latest state', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 3 * DAY }),
        (steps, retentionMs) => {
          const before = inventoryAfter(steps);
          const plan = planRetention(before, retentionMs, NOW);
          const after = without(before, plan.keys);
          for (const timeMs of momentsOf(before, NOW - retentionMs)) {
            const end = endAt(before, timeMs);
            if (end !== undefined) assert.equal(endAt(after, timeMs), end);
          }
          assert.ok(
            tryPlanRestore(before, {}).plan === undefined || tryPlanRestore(after, {}).plan !== undefined,
          );
          // Nothing more to do at the same moment.
          assert.deepEqual(planRetention(after, retentionMs, NOW).keys, []);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('really deletes: a long life leaves little more than its window', () => {
    const life = Array.from({ length: 400 }, (_, i): Step => {
      const kind = i % 10 === 0 ? 'snapshot' : i % 5 === 0 ? 'index' : 'segment';
      return { gapMs: DAY / 40, kind };
    });
    const before = inventoryAfter(life);
    const plan = planRetention(before, DAY, NOW);
    assert.ok(plan.keys.length > 300, `${plan.keys.length} keys`);
    assert.equal(plan.keys.length, new Set(plan.keys).size);
    assert.equal(planRetention(before, 0, NOW).keys.length, 0);
  });

  it('deletes an old generation whole only when another one covers the window', () => {
    const quiet: Step[] = [
      { gapMs: DAY, kind: 'segment' },
      { gapMs: 5 * DAY, kind: 'generation' },
      { gapMs: DAY / 2, kind: 'segment' },
    ];
    const young = inventoryAfter(quiet);
    assert.deepEqual(planRetention(young, DAY, NOW).keys, []);
    const later = planRetention(young, DAY, NOW + DAY);
    assert.deepEqual(later.generations, [young.generations[0]?.generation]);
    assert.equal(later.keys.length, 2);
  });

  it('leaves a marked generation alone until its time, then takes the mark with it', () => {
    const steps: Step[] = [
      { gapMs: DAY, kind: 'generation' },
      { gapMs: DAY, kind: 'segment' },
    ];
    const { generations, ...rest } = inventoryAfter(steps);
    const [old, ...others] = generations;
    assert.ok(old !== undefined);
    const untilMs = NOW + 30 * DAY;
    const mark = { key: keptKey(old.generation, untilMs), sizeBytes: 1, createdAt: NOW, untilMs };
    const marked = { ...rest, generations: [{ ...old, kept: [mark] }, ...others] };
    const before = planRetention(marked, DAY, untilMs - 1);
    assert.deepEqual(before.keys, []);
    assert.equal(expiresLater(marked, before), false, 'somebody waits for it');
    const after = planRetention(marked, DAY, untilMs);
    assert.deepEqual(after.generations, [old.generation]);
    assert.ok(after.keys.includes(mark.key));
  });

  it('never deletes the only snapshot, however old', () => {
    const only = inventoryAfter([{ gapMs: DAY, kind: 'segment' }]);
    assert.deepEqual(planRetention(only, DAY, NOW + 1000 * DAY).keys, []);
  });

  it('knows when nothing goes by time alone any more', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 * DAY }),
        (steps, retentionMs) => {
          const inventory = inventoryAfter(steps);
          const plan = planRetention(inventory, retentionMs, NOW);
          const moments = momentsOf(inventory, 0).map((timeMs) => Math.max(NOW, timeMs + retentionMs + 1));
          const later = moments.map((timeMs) => planRetention(inventory, retentionMs, timeMs).keys.length);
          assert.equal(expiresLater(inventory, plan), Math.max(...later) > plan.keys.length);
        },
      ),
      { numRuns: 500 },
    );
  });
});
