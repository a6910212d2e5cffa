/** What must hold of a soak as a whole, and the table that says how it went. */
import { type LogLine } from '../faults/rivulet.ts';
import { type Census, takeCensus } from './census.ts';
import { SNAPSHOT_INTERVAL_MS, SPOOL_LIMIT_BYTES, WAL_LIMIT_BYTES } from './place.ts';
import type { SoakPlan, Weather } from './plan.ts';
import { AFTERMATH_MS, type Soak } from './soak.ts';
import { minima, type Point, type Trend, trendOf } from './trend.ts';
import { type Life, QUANTITIES, type Quantity } from './vitals.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
/** Code is loaded, caches are filled, and the pools of V8 and of the C library find their size in this time. */
const WARM_UP_MS = 3 * MINUTE_MS;
/** In less than this a slope is noise. */
const TREND_MS_MIN = 8 * MINUTE_MS;
/** Standard errors by which a slope must be above its bound: buffers that proofs hold for a moment are no growth. */
const SURE_ERRORS = 2;
/** What is taken for a while and given back is no growth. */
const MINIMA_OF_MS = 20_000;

interface Bound {
  readonly title: string;
  readonly unit: number;
  readonly unitName: string;
  readonly max: number;
  /** Most that may be gained in a minute of the undisturbed stretch. */
  readonly slopeMax: number;
}

export const BOUNDS: Readonly<Record<Quantity, Bound>> = {
  rss: { title: 'memory (RSS)', unit: MIB, unitName: 'MiB', max: 400, slopeMax: 1 },
  heap: { title: 'heap after collections', unit: MIB, unitName: 'MiB', max: 150, slopeMax: 0.3 },
  external: { title: 'memory outside the heap', unit: MIB, unitName: 'MiB', max: 250, slopeMax: 1 },
  descriptors: { title: 'file descriptors', unit: 1, unitName: '', max: 150, slopeMax: 0.3 },
  threads: { title: 'threads', unit: 1, unitName: '', max: 40, slopeMax: 0.2 },
};

/** A transaction or a VACUUM may be some megabytes, and a log ends with the one that reached the limit. */
const WAL_BYTES_MAX = WAL_LIMIT_BYTES + 32 * MIB;
/** While an end sends the last changes, and while nothing can be put aside, the log grows as fast as the application writes. */
const WAL_BYTES_MAX_WAITING = 256 * MIB;
/** What a checkpoint needs is put aside in any case. */
const SPOOL_BYTES_MAX = SPOOL_LIMIT_BYTES + 16 * MIB;
/** The applications' busy timeout. */
const WAIT_MS_MAX = 5_000;

/** What somebody would have to act upon, were it not the soak that did it. */
const PLANNED: readonly { readonly message: RegExp; readonly weathers: readonly Weather[] }[] = [
  {
    message: /^the spool is full/,
    weathers: ['outage', 'spool-full', 'hang', 'storm', 'disk-full', 'disk-read-only'],
  },
  { message: /^the local state cannot be written/, weathers: ['state-full', 'spool-full'] },
  // Only while it is being opened: a first state has to be written.
  { message: /^the database cannot be replicated at the moment/, weathers: ['state-full', 'spool-full'] },
];

export interface SoakVerdict {
  readonly census: Census;
  readonly trends: ReadonlyMap<Quantity, Trend>;
  /** Whether the undisturbed stretch was long enough for slopes. */
  readonly isTrendBinding: boolean;
  readonly failures: readonly string[];
}

export function judgeSoak(soak: Soak, plan: SoakPlan): SoakVerdict {
  const census = takeCensus(soak.log, {
    snapshotIntervalMs: SNAPSHOT_INTERVAL_MS,
    isPlanned: (line, atMs) => isPlanned(soak, line, atMs),
  });
  const { trends, spanMs } = trendsOf(soak, plan);
  const isTrendBinding = spanMs >= TREND_MS_MIN;
  const failures = [
    ...soak.failures,
    ...census.complaints,
    ...QUANTITIES.flatMap((quantity) =>
      complaintsOf(quantity, soak.lives, isTrendBinding ? trends.get(quantity) : undefined),
    ),
    ...tooMuch('write-ahead log', soak.walBytesMax, WAL_BYTES_MAX),
    ...tooMuch('write-ahead log that had to wait', soak.walBytesMaxWaiting, WAL_BYTES_MAX_WAITING),
    ...tooMuch('spool', soak.spoolBytesMax, SPOOL_BYTES_MAX),
    ...tooMuch('wait of an application (ms)', soak.slowestWaitMs, WAIT_MS_MAX),
    ...tooMuch('transactions that were told busy', soak.busy, 0),
  ];
  return { census, trends, isTrendBinding, failures };
}

function isPlanned({ spells }: Soak, { msg }: LogLine, atMs: number): boolean {
  const planned = PLANNED.find(({ message }) => message.test(msg));
  return spells.some(
    ({ weather, fromMs, toMs }) =>
      planned?.weathers.includes(weather) === true && atMs >= fromMs && atMs <= toMs + AFTERMATH_MS,
  );
}

function trendsOf(soak: Soak, plan: SoakPlan): { trends: Map<Quantity, Trend>; spanMs: number } {
  const fromMs = soak.startedMs + plan.stretch.fromMs;
  const toMs = soak.startedMs + plan.stretch.toMs;
  const life = soak.lives.findLast(({ startedMs }) => startedMs <= fromMs + MINUTE_MS / 2);
  const trends = new Map<Quantity, Trend>();
  if (life === undefined) return { trends, spanMs: 0 };
  const warmMs = Math.max(fromMs, life.startedMs + WARM_UP_MS);
  for (const quantity of QUANTITIES) {
    const inStretch = life.points[quantity].filter(({ atMs }) => atMs >= warmMs && atMs <= toMs);
    const trend = trendOf(BOUNDS[quantity].unit === MIB ? minima(inStretch, MINIMA_OF_MS) : inStretch);
    if (trend !== undefined) trends.set(quantity, trend);
  }
  return { trends, spanMs: toMs - warmMs };
}

function complaintsOf(quantity: Quantity, lives: readonly Life[], trend: Trend | undefined): string[] {
  const { title, unit, unitName, max, slopeMax } = BOUNDS[quantity];
  const most =
    Math.max(0, ...lives.flatMap(({ points }) => points[quantity].map(({ value }: Point) => value))) / unit;
  const slope = (trend?.slopePerMinute ?? 0) / unit;
  const error = (trend?.errorPerMinute ?? 0) / unit;
  return [
    ...(most > max ? [`${title}: ${most.toFixed(1)} ${unitName}, bound ${max}`] : []),
    ...(slope - SURE_ERRORS * error > slopeMax
      ? [
          `${title} grows by ${slope.toFixed(2)} (± ${error.toFixed(2)}) ${unitName} a minute, bound ${slopeMax}`,
        ]
      : []),
  ];
}

function tooMuch(what: string, amount: number, max: number): string[] {
  return amount > max ? [`${what}: ${amount}, bound ${max}`] : [];
}
