import { DatabaseSync } from 'node:sqlite';
import { line, memoryLine } from './lines.ts';
import { type Context, inPairs, type Line, type Measurement, type RunFolder } from './measurement.ts';
import { startAndSettle } from './replication.ts';
import { segmentsIn, until } from './replica-folder.ts';
import { quantile } from './statistics.ts';
import type { Tool } from './tools.ts';
import { prepareEvents, RowMaker } from './workload/rows.ts';

const P50_MS_MAX = 30;
const LOOK_MS = 1;
const LIMIT_MS = 20_000;
/** More than the sync interval of one second, and not always the same part of it. */
const QUIET_MS = [1200, 1317, 1571, 1853, 2039];

interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly peakRssMb: number;
}

async function latencyOnce(tool: Tool, folder: RunFolder, commits: number): Promise<Latencies> {
  const [path, replica] = [folder.file('app.db'), folder.file('replica')];
  using database = new DatabaseSync(path);
  const insert = prepareEvents(database);
  const rows = new RowMaker(5);
  insert.run(...rows.next(300));
  await using replication = await startAndSettle(tool, path, replica);
  const tookMs: number[] = [];
  for (let i = 0; i < commits; i++) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS[i % QUIET_MS.length]));
    const before = segmentsIn(replica).length;
    insert.run(...rows.next(300));
    const committedMs = performance.now();
    await until(() => (segmentsIn(replica).length > before ? true : undefined), LOOK_MS, LIMIT_MS);
    tookMs.push(performance.now() - committedMs);
  }
  const { peakRssMb } = replication.usage();
  return { p50Ms: quantile(tookMs, 0.5), p99Ms: quantile(tookMs, 0.99), peakRssMb };
}

async function run(context: Context): Promise<Line[]> {
  const commits = context.quick ? 5 : 25;
  const pairs = await inPairs(
    { ...context, runs: Math.min(context.runs, 2) },
    async (tool, folder) => latencyOnce(tool, folder, commits),
    (r) => `p50 ${r.p50Ms.toFixed(1)} ms, p99 ${r.p99Ms.toFixed(1)} ms, ${r.peakRssMb.toFixed(0)} MB`,
  );
  return [
    line(pairs, 'commit to object visible, p50', 'ms', (r) => r.p50Ms, {
      target: `<= ${P50_MS_MAX} ms`,
      met: (ours) => ours <= P50_MS_MAX,
    }),
    line(pairs, 'commit to object visible, p99', 'ms', (r) => r.p99Ms),
    memoryLine(pairs),
  ];
}

export const latency: Measurement = {
  name: 'latency',
  title: 'A commit after quiet, until its segment is there',
  run,
};
