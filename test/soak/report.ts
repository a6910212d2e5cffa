/** The summary of a soak, as a table in Markdown. */
import type { Soak } from './soak.ts';
import { BOUNDS, type SoakVerdict } from './verdict.ts';
import { QUANTITIES } from './vitals.ts';

const MIB = 1024 * 1024;

export function summaryOf(soak: Soak, verdict: SoakVerdict): string {
  const { census, trends, isTrendBinding } = verdict;
  const lives = soak.lives.map(({ startedMs, endedMs }) => (endedMs - startedMs) / 1000);
  const rows: [string, string][] = [
    ['transactions committed', String(soak.commits)],
    ['transactions told busy', String(soak.busy)],
    ['slowest begin + commit', `${soak.slowestWaitMs} ms`],
    ['what the applications did', listed(soak.reports)],
    ['what was done to them', listed(soak.acts)],
    ['faults that were met', listed(soak.weatherHits)],
    ['lives of Rivulet', `${lives.length}, the longest ${Math.round(Math.max(...lives))} s`],
    ['restores', listed(soak.checker.results)],
    ['slowest restore', `${soak.checker.slowestMs} ms`],
    ['snapshots', listed(census.snapshots)],
    ['generations', listed(census.generations)],
    ['proofs by metrics', listed(proofsOf(soak))],
    ['errors', listed(census.errors)],
    ['warnings', listed(census.warnings)],
    [
      'largest write-ahead log',
      `${mib(soak.walBytesMax)} MiB; at an end or with the state's disk full ${mib(soak.walBytesMaxWaiting)} MiB`,
    ],
    ['largest spool', `${mib(soak.spoolBytesMax)} MiB`],
    ['requests to S3', listed(soak.requests)],
    ['requests by metrics', listed(requestsOf(soak))],
  ];
  for (const quantity of QUANTITIES) {
    const { title, unit, unitName, slopeMax } = BOUNDS[quantity];
    const values = soak.lives.flatMap(({ points }) => points[quantity].map(({ value }) => value));
    const trend = trends.get(quantity);
    const amount = (value: number): string => (value / unit).toFixed(unit === 1 ? 0 : 1);
    const most = values.length === 0 ? 'unknown' : amount(Math.max(...values));
    const slope =
      trend === undefined
        ? ''
        : `; undisturbed ${amount(trend.first)} to ${amount(trend.last)}, at most ${amount(trend.max)}, ` +
          `${(trend.slopePerMinute / unit).toFixed(3)} (± ${(trend.errorPerMinute / unit).toFixed(3)}) ${unitName} a minute` +
          (isTrendBinding ? ` (bound ${slopeMax})` : ' (too short to judge)');
    rows.push([title, `at most ${most} ${unitName}${slope}`]);
  }
  const width = Math.max(...rows.map(([title]) => title.length));
  return rows.map(([title, text]) => `| ${title.padEnd(width)} | ${text} |`).join('\n');
}

/** Summed over all lives, each until the last look at it. */
function requestsOf({ lives }: Soak): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { requests } of lives)
    for (const [name, count] of requests) sums.set(name, (sums.get(name) ?? 0) + count);
  return sums;
}

function proofsOf({ lives }: Soak): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { proofs } of lives)
    for (const { kind, count } of proofs.values()) sums.set(kind, (sums.get(kind) ?? 0) + count);
  return sums;
}

function listed(counts: ReadonlyMap<string, number>): string {
  const entries = [...counts].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  return entries.length === 0 ? 'none' : entries.map(([name, count]) => `${name} ${count}`).join(', ');
}

/** One line for the present minute. */
export function minuteOf(soak: Soak, minute: number): string {
  const life = soak.lives.at(-1);
  const last = (points: readonly { readonly value: number }[] | undefined): number =>
    points?.at(-1)?.value ?? 0;
  const restores = [...soak.checker.results.values()].reduce((sum, count) => sum + count, 0);
  return [
    `minute ${String(minute).padStart(3)}`,
    `commits ${soak.commits}`,
    `restores ${restores}`,
    `lives ${soak.lives.length}`,
    `memory ${mib(last(life?.points.rss))} MiB`,
    `heap ${mib(last(life?.points.heap))} MiB`,
    `descriptors ${last(life?.points.descriptors)}`,
    `threads ${last(life?.points.threads)}`,
    `log at most ${mib(soak.walBytesMax)} MiB`,
    `failures ${soak.failures.length}`,
  ].join('  ');
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}

/** What happened in the last minute before the end. */
export function storyOf({ story }: Soak): string {
  const endMs = story.at(-1)?.atMs ?? 0;
  return story
    .filter(({ atMs }) => atMs > endMs - 60_000)
    .map(({ atMs, text }) => `${new Date(atMs).toISOString()}  ${text}`)
    .join('\n');
}
