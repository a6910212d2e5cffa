import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { line, memoryLine } from './lines.ts';
import { type Context, inPairs, type Line, type Measurement, type RunFolder } from './measurement.ts';
import { type MeteredProcess, runMetered } from './process-meter.ts';
import { startAndSettle } from './replication.ts';
import { logBytesIn, newestSegmentMs, until } from './replica-folder.ts';
import { runWriter } from './run-writer.ts';
import type { Tool } from './tools.ts';
import { prepareEvents, RowMaker } from './workload/rows.ts';

const CPU_RATIO_MAX = 0.8;
const WAL_MB_MAX = 300;
const WAL_LOOK_MS = 20;
/** Resting for so long, a tool has caught up: more than the sync interval of both. */
const QUIET_MS = 2500;
const LOOK_MS = 250;
/** An idle tool uses less in one look. */
const REST_CPU_SECONDS = 0.02;
const LIMIT_MS = 300_000;

interface Saturated {
  readonly commits: number;
  readonly cpuSeconds: number;
  readonly cpuMsPerMb: number;
  readonly walMb: number;
  readonly lagSeconds: number;
  readonly peakRssMb: number;
}

/** Watches the size of a database's log; the most that it was. */
class WalWatch implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #mostBytes = 0;

  constructor(databasePath: string) {
    this.#timer = setInterval(() => {
      const sizeBytes = statSync(`${databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0;
      this.#mostBytes = Math.max(this.#mostBytes, sizeBytes);
    }, WAL_LOOK_MS);
  }

  get mostMb(): number {
    return this.#mostBytes / 1e6;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function rowsIn(path: string): number {
  using database = new DatabaseSync(path, { readOnly: true });
  return Number(database.prepare('SELECT count(*) AS rows FROM events').get()?.['rows']);
}

async function checkRestore(tool: Tool, folder: RunFolder, rows: number): Promise<void> {
  const restored = folder.file('restored.db');
  const words = ['restore', '-o', restored, `file://${folder.file('replica')}`];
  await runMetered({ command: tool.command, arguments: words });
  if (rowsIn(restored) !== rows) throw new Error(`${tool.name} restored another number of rows than ${rows}`);
}

async function saturateOnce(tool: Tool, folder: RunFolder, seconds: number): Promise<Saturated> {
  const [path, replica] = [folder.file('app.db'), folder.file('replica')];
  // Open through the whole run, as an application is: the last one to close would checkpoint the log.
  using database = new DatabaseSync(path);
  prepareEvents(database).run(...new RowMaker(7).next(300));
  let found: Saturated;
  {
    await using replication = await startAndSettle(tool, path, replica);
    const cpuBefore = replication.usage().cpuSeconds;
    using wal = new WalWatch(path);
    const { commits } = (await runWriter('saturated-writer', path, seconds)) as { commits: number };
    const endedMs = Date.now();
    const lastMs = await caughtUp(replica, replication);
    const { cpuSeconds, peakRssMb } = replication.usage();
    const cpu = cpuSeconds - cpuBefore;
    const lagSeconds = Math.max(0, lastMs - endedMs) / 1000;
    const cpuMsPerMb = (cpu * 1000) / ((await logBytesIn(replica)) / 1e6);
    found = { commits, cpuSeconds: cpu, cpuMsPerMb, walMb: wal.mostMb, lagSeconds, peakRssMb };
  }
  await checkRestore(tool, folder, rowsIn(path));
  return found;
}

/** Waits until the tool rests and no new segment comes; answers when the last one came. */
async function caughtUp(replica: string, replication: MeteredProcess): Promise<number> {
  let seen = { segmentMs: 0, cpuSeconds: 0 };
  let restingMs = 0;
  return until(
    () => {
      const now = { segmentMs: newestSegmentMs(replica), cpuSeconds: replication.usage().cpuSeconds };
      const isResting =
        now.segmentMs === seen.segmentMs && now.cpuSeconds - seen.cpuSeconds <= REST_CPU_SECONDS;
      restingMs = isResting ? restingMs + LOOK_MS : 0;
      seen = now;
      return restingMs > QUIET_MS ? now.segmentMs : undefined;
    },
    LOOK_MS,
    LIMIT_MS,
  );
}

async function run(context: Context): Promise<Line[]> {
  const pairs = await inPairs(
    context,
    async (tool, folder) => saturateOnce(tool, folder, context.quick ? 3 : 10),
    (r) =>
      `${r.commits} commits, ${r.cpuSeconds.toFixed(2)} CPU s, WAL ${r.walMb.toFixed(0)} MB, ` +
      `lag ${r.lagSeconds.toFixed(1)} s, ${r.peakRssMb.toFixed(0)} MB`,
  );
  const mostWalMb = Math.max(...pairs.map(({ ours }) => ours.walMb));
  return [
    line(pairs, 'commits of the application', '', (r) => r.commits),
    line(pairs, 'CPU of replication', 's', (r) => r.cpuSeconds, {
      target: `<= ${CPU_RATIO_MAX}x`,
      met: (_, ratio) => ratio <= CPU_RATIO_MAX,
    }),
    line(pairs, 'CPU for each MB of log', 'ms', (r) => r.cpuMsPerMb),
    line(pairs, 'largest WAL file', 'MB', (r) => r.walMb, {
      target: `<= ${WAL_MB_MAX} MB in every run (most: ${mostWalMb.toFixed(0)})`,
      met: () => mostWalMb <= WAL_MB_MAX,
    }),
    line(pairs, 'last segment after the last commit', 's', (r) => r.lagSeconds),
    memoryLine(pairs),
  ];
}

export const saturated: Measurement = {
  name: 'saturated',
  title: 'An application that commits as fast as it can',
  run,
};
