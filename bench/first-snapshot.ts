import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { line, memoryLine } from './lines.ts';
import { type Context, inPairs, type Line, type Measurement, type RunFolder } from './measurement.ts';
import type { RunUsage } from './process-meter.ts';
import { startReplication } from './replication.ts';
import { snapshotsIn, until } from './replica-folder.ts';
import type { Tool } from './tools.ts';
import { makeDatabase } from './workload/make-database.ts';

const FASTER_MIN = 2;
const LIMIT_MS = 300_000;
const LOOK_MS = 5;

interface Snapshotted extends RunUsage {
  readonly objectMb: number;
}

async function snapshotOnce(tool: Tool, source: string, folder: RunFolder): Promise<Snapshotted> {
  const [database, replica] = [folder.file('app.db'), folder.file('replica')];
  copyFileSync(source, database);
  const startedMs = performance.now();
  await using replication = startReplication(tool, database, replica);
  const object = await until(() => snapshotsIn(replica)[0], LOOK_MS, LIMIT_MS);
  const wallSeconds = (performance.now() - startedMs) / 1000;
  return { wallSeconds, ...replication.usage(), objectMb: statSync(object).size / 1e6 };
}

async function run(context: Context): Promise<Line[]> {
  const source = join(context.folder, 'source.db');
  makeDatabase(source, context.quick ? 60 : 450);
  context.tell(`  a database of ${(statSync(source).size / 1e6).toFixed(0)} MB`);
  const pairs = await inPairs(
    context,
    async (tool, folder) => snapshotOnce(tool, source, folder),
    (r) =>
      `${r.wallSeconds.toFixed(2)} s, ${r.cpuSeconds.toFixed(2)} CPU s, ${r.peakRssMb.toFixed(0)} MB, ` +
      `object of ${r.objectMb.toFixed(0)} MB`,
  );
  return [
    line(pairs, 'time until it is there', 's', (r) => r.wallSeconds, {
      target: `at least ${FASTER_MIN}x faster`,
      met: (_, ratio) => 1 / ratio >= FASTER_MIN,
    }),
    line(pairs, 'CPU', 's', (r) => r.cpuSeconds, { target: 'no more', met: (_, ratio) => ratio <= 1 }),
    line(pairs, 'size of the object', 'MB', (r) => r.objectMb),
    memoryLine(pairs),
  ];
}

export const firstSnapshot: Measurement = {
  name: 'first-snapshot',
  title: 'First snapshot of a 450 MB database',
  run,
};
