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
  /** Its standard error: what goes up and down by much says little about how it grows. */
  readonly errorPerMinute: number;
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
  const slope = below === 0 ? 0 : above / below;
  return {
    points: points.length,
    first: first.value,
    last: last.value,
    max: Math.max(...points.map(({ value }) => value)),
    slopePerMinute: slope * MINUTE_MS,
    errorPerMinute: standardError(points, { meanAt, meanValue, slope, below }) * MINUTE_MS,
  };
}

/** Of a slope, from what the line leaves unexplained; 0 where the line goes through all points. */
function standardError(
  points: readonly Point[],
  line: {
    readonly meanAt: number;
    readonly meanValue: number;
    readonly slope: number;
    readonly below: number;
  },
): number {
  if (points.length < 3 || line.below === 0) return 0;
  const unexplained = points.reduce((sum, { atMs, value }) => {
    return sum + (value - line.meanValue - line.slope * (atMs - line.meanAt)) ** 2;
  }, 0);
  return Math.sqrt(unexplained / (points.length - 2) / line.below);
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
