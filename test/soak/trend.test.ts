import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { minima, trendOf } from './trend.ts';

const MINUTE_MS = 60_000;

suite('trends', () => {
  test('a line has its own slope', () => {
    const points = Array.from({ length: 10 }, (_, n) => ({ atMs: n * MINUTE_MS, value: 100 + 3 * n }));
    const trend = trendOf(points);
    assert.ok(trend !== undefined && Math.abs(trend.slopePerMinute - 3) < 1e-9);
    assert.deepEqual([trend.first, trend.last, trend.max], [100, 127, 127]);
  });

  test('what goes up and down does not grow', () => {
    const points = Array.from({ length: 1000 }, (_, n) => ({ atMs: n * 1000, value: 100 + (n % 10) }));
    assert.ok(Math.abs(trendOf(points)?.slopePerMinute ?? Number.NaN) < 0.05);
  });

  test('one point has none, and points of one moment a flat one', () => {
    assert.equal(trendOf([{ atMs: 1, value: 1 }]), undefined);
    const twice = { atMs: 1, value: 1 };
    assert.equal(trendOf([twice, twice])?.slopePerMinute, 0);
  });

  test('the error of a slope: none on a line, more than the slope where only chance moves it', () => {
    const line = Array.from({ length: 30 }, (_, n) => ({ atMs: n * 20_000, value: 5 * n }));
    assert.ok((trendOf(line)?.errorPerMinute ?? 1) < 1e-9);
    const heights = [80, 110, 70, 95, 60, 115, 90, 75, 105, 85];
    const noise = Array.from({ length: 30 }, (_, n) => ({ atMs: n * 20_000, value: heights[n % 10] ?? 0 }));
    const trend = trendOf(noise);
    assert.ok(trend !== undefined && Math.abs(trend.slopePerMinute) < 2 * trend.errorPerMinute);
    assert.ok(trend.errorPerMinute > 0.5 && trend.errorPerMinute < 2, String(trend.errorPerMinute));
  });

  test('a leak shows through noise', () => {
    const heights = [80, 110, 70, 95, 60, 115, 90, 75, 105, 85];
    const points = Array.from({ length: 30 }, (_, n) => ({
      atMs: n * 20_000,
      value: (heights[n % 10] ?? 0) + (6 * n) / 3,
    }));
    const { slopePerMinute = 0, errorPerMinute = 0 } = trendOf(points) ?? {};
    assert.ok(slopePerMinute - 2 * errorPerMinute > 1, `${slopePerMinute} ± ${errorPerMinute}`);
  });

  test('minima keep a leak under a saw-tooth in sight', () => {
    const points = Array.from({ length: 600 }, (_, n) => ({ atMs: n * 1000, value: (n % 7) * 50 + n / 60 }));
    const slope = trendOf(minima(points, 20_000))?.slopePerMinute ?? 0;
    assert.ok(slope > 0.8 && slope < 1.2, String(slope));
  });
});
