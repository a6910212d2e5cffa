/** From pairs of results to lines of the table. */
import type { Line, Pair } from './measurement.ts';
import { median, medianRatio } from './statistics.ts';

/** The most resident memory that Rivulet may need in any measurement. */
const PEAK_RSS_MB_MAX = 150;

interface Goal {
  readonly target?: string;
  /** Decides by Rivulet's median and by the ratio. */
  readonly met?: (ours: number, ratio: number) => boolean;
}

export function line<T>(
  pairs: readonly Pair<T>[],
  what: string,
  unit: string,
  valueOf: (result: T) => number,
  goal: Goal = {},
): Line {
  const all = { ours: pairs.map((p) => valueOf(p.ours)), theirs: pairs.map((p) => valueOf(p.theirs)) };
  const ours = median(all.ours);
  const ratio = medianRatio(all.ours, all.theirs);
  return {
    what,
    unit,
    ours,
    theirs: median(all.theirs),
    ratio,
    ...(goal.target === undefined ? {} : { target: goal.target }),
    ...(goal.met === undefined ? {} : { isMet: goal.met(ours, ratio) }),
  };
}

export function memoryLine<T extends { peakRssMb: number }>(pairs: readonly Pair<T>[]): Line {
  // The bound is for every run, not for the middle one.
  const most = Math.max(...pairs.map(({ ours }) => ours.peakRssMb));
  return line(pairs, 'peak memory', 'MB', ({ peakRssMb }) => peakRssMb, {
    target: `<= ${PEAK_RSS_MB_MAX} MB in every run (most: ${most.toFixed(0)})`,
    met: () => most <= PEAK_RSS_MB_MAX,
  });
}
