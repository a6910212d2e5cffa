import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { DISK_WEATHERS, NETWORK_WEATHERS, planSoak } from './plan.ts';

const WEATHERS = [...NETWORK_WEATHERS, ...DISK_WEATHERS];
const DURATION_MS = 30 * 60_000;

function plan(seed: number) {
  return planSoak({ seed, durationMs: DURATION_MS, applications: 4, weathers: WEATHERS });
}

suite('the plan of a soak', () => {
  test('follows from the seed alone', () => {
    assert.deepEqual(plan(3), plan(3));
    assert.notDeepEqual(plan(3), plan(4));
  });

  test('leaves Rivulet alone for more than a third, and nothing else', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { acts, stretch } = plan(seed);
      assert.ok(stretch.toMs - stretch.fromMs > DURATION_MS / 3);
      const kinds = new Set(
        acts.filter(({ atMs }) => atMs >= stretch.fromMs && atMs < stretch.toMs).map(({ act }) => act.kind),
      );
      assert.deepEqual([...kinds].sort(), ['compare', 'kill-application', 'reload', 'weather']);
    }
  });

  test('has everything in half an hour', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { acts } = plan(seed);
      const kinds = new Set(acts.map(({ act }) => act.kind));
      assert.equal(kinds.size, 6);
      const weathers = new Set(acts.map(({ act }) => (act.kind === 'weather' ? act.weather : undefined)));
      for (const weather of WEATHERS) assert.ok(weathers.has(weather), `seed ${seed} lacks ${weather}`);
    }
  });
});
