/** What a retention leaves when it is cut short, and what it never takes. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inventoryOf } from '../../src/generations/inventory.ts';
import { endKey } from '../../src/generations/ends.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { planRetention } from '../../src/generations/retention-plan.ts';
import { tryPlanRestore } from '../../src/generations/restore-plan.ts';

const GENERATION = '00112233445566aa';
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);

/** Four logs with a snapshot each, and promises of two stops, an hour apart. */
const OBJECTS = [0, 1, 2, 3].flatMap((index) => {
  const keys = [
    snapshotKey(GENERATION, index),
    segmentKey(GENERATION, { index, offsetBytes: 0 }),
    segmentKey(GENERATION, { index, offsetBytes: 4152 }),
  ];
  if (index < 2) keys.push(endKey(GENERATION, { index, offsetBytes: 8272 }));
  return keys.map((key, i) => ({ key, sizeBytes: 10, modifiedAt: new Date(START_MS + index * HOUR_MS + i) }));
});

it('wherever a retention is cut short, no snapshot is left without its log', () => {
  const plan = planRetention(inventoryOf(OBJECTS), HOUR_MS, START_MS + 4 * HOUR_MS);
  assert.ok(plan.snapshots.length > 1 && plan.segments.length > 2);
  for (let done = 0; done <= plan.keys.length; done++) {
    const gone = new Set(plan.keys.slice(0, done));
    const left = inventoryOf(OBJECTS.filter(({ key }) => !gone.has(key)));
    for (const { index, key } of left.generations[0]?.snapshots ?? []) {
      const { plan: found } = tryPlanRestore(left, { generation: GENERATION, index });
      assert.equal(found?.segments.length, 2, `${key} is there after ${done} removals, and its log is not`);
    }
  }
});

it('wherever a retention is cut short, no log is left without its first segment', () => {
  const plan = planRetention(inventoryOf(OBJECTS), HOUR_MS, START_MS + 4 * HOUR_MS);
  assert.deepEqual(plan.steps.flat(), plan.keys);
  for (const [done, step] of plan.steps.entries()) {
    // What goes in one step goes in any order.
    for (const last of step) {
      const gone = new Set([...plan.steps.slice(0, done).flat(), ...step.filter((key) => key !== last)]);
      const left = inventoryOf(OBJECTS.filter(({ key }) => !gone.has(key)));
      const logs = Map.groupBy(left.generations[0]?.segments ?? [], ({ index }) => index);
      for (const [index, segments] of logs) assert.equal(segments[0]?.offsetBytes, 0, `log ${index}`);
    }
  }
});

it('the furthest promise stays, however old: nothing else tells where the chain must end', () => {
  const furthest = endKey(GENERATION, { index: 1, offsetBytes: 8272 });
  const plan = planRetention(inventoryOf(OBJECTS), HOUR_MS, START_MS + 100 * HOUR_MS);
  assert.ok(plan.keys.includes(endKey(GENERATION, { index: 0, offsetBytes: 8272 })));
  assert.ok(!plan.keys.includes(furthest));
});

it('an older generation stays until a newer one covers the whole window', () => {
  const newer = 'fedcba9876543210';
  const nowMs = START_MS + 100 * HOUR_MS;
  const begunMsAgo = (ms: number) => [
    ...OBJECTS,
    { key: snapshotKey(newer, 0), sizeBytes: 10, modifiedAt: new Date(nowMs - ms) },
  ];
  const goneWith = (ms: number): readonly string[] =>
    planRetention(inventoryOf(begunMsAgo(ms)), HOUR_MS, nowMs).generations;
  assert.deepEqual(goneWith(HOUR_MS / 2), []);
  assert.deepEqual(goneWith(2 * HOUR_MS), [GENERATION]);
});
