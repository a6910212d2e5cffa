import { DatabaseSync } from 'node:sqlite';
import { line, memoryLine } from './lines.ts';
import { type Context, inPairs, type Line, type Measurement, type RunFolder } from './measurement.ts';
import type { Usage } from './process-meter.ts';
import { startAndSettle } from './replication.ts';
import type { Tool } from './tools.ts';
import { prepareEvents, RowMaker } from './workload/rows.ts';

async function idleOnce(tool: Tool, folder: RunFolder, seconds: number): Promise<Usage> {
  const path = folder.file('app.db');
  using database = new DatabaseSync(path);
  prepareEvents(database).run(...new RowMaker(8).next(300));
  await using replication = await startAndSettle(tool, path, folder.file('replica'));
  const before = replication.usage().cpuSeconds;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const { cpuSeconds, peakRssMb } = replication.usage();
  return { cpuSeconds: cpuSeconds - before, peakRssMb };
}

async function run(context: Context): Promise<Line[]> {
  const seconds = context.quick ? 4 : 20;
  const pairs = await inPairs(
    { ...context, runs: Math.min(context.runs, 2) },
    async (tool, folder) => idleOnce(tool, folder, seconds),
    (r) => `${(r.cpuSeconds * 1000).toFixed(0)} ms of CPU, ${r.peakRssMb.toFixed(0)} MB`,
  );
  return [
    line(pairs, 'CPU for each second', 'ms', (r) => (r.cpuSeconds * 1000) / seconds),
    memoryLine(pairs),
  ];
}

export const idle: Measurement = { name: 'idle', title: 'A database that nobody writes to', run };
