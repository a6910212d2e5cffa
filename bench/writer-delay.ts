import { DatabaseSync } from 'node:sqlite';
import { line, memoryLine } from './lines.ts';
import { type Context, type Line, type Measurement, RunFolder } from './measurement.ts';
import { startAndSettle } from './replication.ts';
import { runWriter } from './run-writer.ts';
import { median, quantile } from './statistics.ts';
import type { Tool } from './tools.ts';
import { prepareEvents, RowMaker } from './workload/rows.ts';

const COMMITS_PER_SECOND = 500;
const P99_RATIO_MAX = 1.1;
/** A tenth is less than the noise of one round. */
const ROUNDS_MIN = 5;

interface Delays {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly peakRssMb: number;
  readonly cpuSeconds: number;
}

async function delaysOnce(tool: Tool | undefined, context: Context): Promise<Delays> {
  using folder = new RunFolder(context.folder, 'run');
  const [path, replica] = [folder.file('app.db'), folder.file('replica')];
  using database = new DatabaseSync(path);
  prepareEvents(database).run(...new RowMaker(6).next(300));
  await using replication = tool === undefined ? undefined : await startAndSettle(tool, path, replica);
  const cpuBefore = replication?.usage().cpuSeconds ?? 0;
  const micros = (await runWriter(
    'paced-writer',
    path,
    COMMITS_PER_SECOND,
    context.quick ? 4 : 15,
  )) as number[];
  const usage = replication?.usage() ?? { cpuSeconds: 0, peakRssMb: 0 };
  const delays = {
    p50Us: quantile(micros, 0.5),
    p99Us: quantile(micros, 0.99),
    maxUs: quantile(micros, 1),
    peakRssMb: usage.peakRssMb,
    cpuSeconds: usage.cpuSeconds - cpuBefore,
  };
  const name = (tool?.name ?? 'no replication').padEnd(20);
  context.tell(`  ${name} p50 ${delays.p50Us} us, p99 ${delays.p99Us} us, max ${delays.maxUs} us`);
  return delays;
}

interface Round {
  readonly alone: Delays;
  readonly ours: Delays;
  readonly theirs: Delays;
}

/** Every round begins with another of the three: whoever comes first finds another machine than the last. */
async function oneRound(context: Context, number: number): Promise<Round> {
  const { ours, theirs } = context.tools;
  const steps = { alone: undefined, ours, theirs };
  const names = ['alone', 'ours', 'theirs'] as const;
  const found = new Map<string, Delays>();
  for (let i = 0; i < names.length; i++) {
    const name = names[(i + number) % names.length] ?? 'alone';
    found.set(name, await delaysOnce(steps[name], context));
  }
  return Object.fromEntries(found) as unknown as Round;
}

/** Both tools against no replication: medians of each round's own ratio. */
function againstAlone(rounds: readonly Round[], what: string, valueOf: (delays: Delays) => number): Line[] {
  const ratioOf = (who: 'ours' | 'theirs'): number =>
    median(rounds.map((round) => valueOf(round[who]) / valueOf(round.alone)));
  const [ours, theirs] = [ratioOf('ours'), ratioOf('theirs')];
  return [{ what: `${what}, times that of no replication`, unit: 'x', ours, theirs, ratio: ours / theirs }];
}

async function run(context: Context): Promise<Line[]> {
  const rounds: Round[] = [];
  const count = context.quick ? 1 : Math.max(ROUNDS_MIN, context.runs);
  while (rounds.length < count) rounds.push(await oneRound(context, rounds.length));
  const [p99] = againstAlone(rounds, 'commit p99', (d) => d.p99Us);
  return [
    line(rounds, 'commit p50', 'us', (d) => d.p50Us),
    line(rounds, 'commit p99', 'us', (d) => d.p99Us),
    line(rounds, 'longest commit', 'us', (d) => d.maxUs),
    ...againstAlone(rounds, 'commit p50', (d) => d.p50Us),
    ...(p99 === undefined
      ? []
      : [{ ...p99, target: `<= ${P99_RATIO_MAX.toFixed(2)}x`, isMet: p99.ours <= P99_RATIO_MAX }]),
    line(rounds, 'CPU of replication', 's', (d) => d.cpuSeconds),
    memoryLine(rounds),
  ];
}

export const writerDelay: Measurement = {
  name: 'writer-delay',
  title: 'What an application with 500 commits/s notices',
  run,
};
