/** Does a measured quantity grow? Pure. */

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

export interface Trend {
  readonly points: number;
  readonly first: number;
  readonly last: number;
  readonly max: number;
  /** Of the line of least squares. */
  readonly slopePerMinute: number;
}

const MINUTE_MS = 60_000;

/** @returns undefined when there are fewer than two points */
export function trendOf(points: readonly Point[]): Trend | undefined {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || points.length < 2) return undefined;
  const meanAt = mean(points.map(({ atMs }) => atMs));
  const meanValue = mean(points.map(({ value }) => value));
  let above = 0;
  let below = 0;
  for (const { atMs, value } of points) {
    above += (atMs - meanAt) * (value - meanValue);
    below += (atMs - meanAt) ** 2;
  }
  return {
    points: points.length,
    first: first.value,
    last: last.value,
    max: Math.max(...points.map(({ value }) => value)),
    slopePerMinute: below === 0 ? 0 : (above / below) * MINUTE_MS,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The least value of each window: what is left of a heap after its collections. */
export function minima(points: readonly Point[], windowMs: number): Point[] {
  const least = new Map<number, Point>();
  for (const point of points) {
    const window = Math.floor(point.atMs / windowMs);
    const known = least.get(window);
    if (known === undefined || point.value < known.value) least.set(window, point);
  }
  return [...least]
    .sort(([a], [b]) => a - b)
    .map(([window, { value }]) => ({ atMs: window * windowMs, value }));
}
