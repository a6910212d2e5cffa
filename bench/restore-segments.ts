import { DatabaseSync } from 'node:sqlite';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { line, memoryLine } from './lines.ts';
import { type Context, inPairs, type Line, type Measurement, type RunFolder } from './measurement.ts';
import { runMetered, type RunUsage } from './process-meter.ts';
import type { Tool } from './tools.ts';
import { makeReplica } from './workload/make-replica.ts';

const FASTER_MIN = 8;

interface Restored extends RunUsage {
  readonly digest: string;
}

/** Over every row, as SQL shows them: the files of two tools need not be the same byte for byte. */
function digestOf(path: string): string {
  using database = new DatabaseSync(path, { readOnly: true });
  const hash = createHash('sha256');
  for (const row of database.prepare('SELECT * FROM events ORDER BY id').iterate()) {
    const { extra, ...rest } = row as { extra: Uint8Array };
    hash.update(JSON.stringify(rest)).update(extra);
  }
  return hash.digest('hex');
}

async function restoreOnce(tool: Tool, replica: string, folder: RunFolder): Promise<Restored> {
  const output = folder.file('restored.db');
  const words = ['restore', '-o', output, `file://${replica}`];
  const usage = await runMetered({ command: tool.command, arguments: words });
  return { ...usage, digest: digestOf(output) };
}

async function run(context: Context): Promise<Line[]> {
  const replica = join(context.folder, 'replica');
  const size = { segments: context.quick ? 400 : 4000, indexes: 4, firstRows: 20_000 };
  const logBytes = makeReplica(replica, join(context.folder, 'source.db'), size);
  context.tell(
    `  ${size.segments} segments in ${size.indexes} indexes, ${(logBytes / 1e6).toFixed(0)} MB of log`,
  );
  const pairs = await inPairs(
    context,
    async (tool, folder) => restoreOnce(tool, replica, folder),
    (r) => `${r.wallSeconds.toFixed(2)} s, ${r.cpuSeconds.toFixed(2)} CPU s, ${r.peakRssMb.toFixed(0)} MB`,
  );
  const digests = new Set(pairs.flatMap(({ ours, theirs }) => [ours.digest, theirs.digest]));
  if (digests.size !== 1) throw new Error('the restored databases differ');
  return [
    line(pairs, 'time', 's', (r) => r.wallSeconds, {
      target: `at least ${FASTER_MIN}x faster`,
      met: (_, ratio) => 1 / ratio >= FASTER_MIN,
    }),
    line(pairs, 'CPU', 's', (r) => r.cpuSeconds),
    memoryLine(pairs),
  ];
}

export const restoreSegments: Measurement = {
  name: 'restore-segments',
  title: 'Restore of a replica with 4,000 small segments',
  run,
};
