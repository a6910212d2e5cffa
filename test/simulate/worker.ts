/** A process that runs seeds, one block after another, and tells what came of them. Started by `scripts/simulate.ts`. */
import { planRun } from './plan.ts';
import { run, type RunCounts } from './run.ts';
import { describePlan, shorten } from './shorten.ts';
import { Bench } from './world/judge.ts';

/** A violation is worth some thought, but not for ever. */
const SHORTEN_MS = 20_000;
/** The end of a trace is where it happens. */
const TRACE_LINES_MAX = 120;

export interface Block {
  readonly firstSeed: number;
  readonly runs: number;
}

export interface FoundViolation {
  readonly seed: number;
  readonly violation: string;
  /** The plan and the trace of a run that is as short as possible and ends in the same. */
  readonly lines: readonly string[];
}

export interface BlockResult {
  readonly runs: number;
  /** Sums, and for names that end in `Max` the most. */
  readonly counts: RunCounts;
  readonly violations: readonly FoundViolation[];
}

export function addCounts(a: RunCounts | undefined, b: RunCounts): RunCounts {
  if (a === undefined) return b;
  const names = Object.keys(b) as (keyof RunCounts)[];
  return Object.fromEntries(
    names.map((name) => [name, name.endsWith('Max') ? Math.max(a[name], b[name]) : a[name] + b[name]]),
  ) as unknown as RunCounts;
}

export async function runBlock(
  { firstSeed, runs }: Block,
  bench: Bench,
  onSeed: (seed: number) => void,
): Promise<BlockResult> {
  let counts: RunCounts | undefined;
  const violations: FoundViolation[] = [];
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    onSeed(seed);
    const result = await run(planRun(seed), bench);
    counts = addCounts(counts, result.counts);
    if (result.violation !== undefined) violations.push(await explain(seed, result.violation, bench));
  }
  return { runs, counts: counts as RunCounts, violations };
}

async function explain(seed: number, violation: string, bench: Bench): Promise<FoundViolation> {
  const violates = async (plan: Parameters<typeof run>[0]): Promise<string | undefined> =>
    (await run(plan, bench)).violation;
  const short = await shorten(planRun(seed), violation, violates, performance.now() + SHORTEN_MS);
  const { trace } = await run(short, bench);
  const left = trace.length - TRACE_LINES_MAX;
  const lines = [
    ...describePlan(short),
    ...(left > 0 ? [`... ${left} lines`] : []),
    ...trace.slice(-TRACE_LINES_MAX),
  ];
  return { seed, violation, lines };
}

if (process.send !== undefined) {
  const bench = new Bench();
  process.on('message', (block: Block) => {
    void runBlock(block, bench, (seed) => process.send?.(seed)).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => {
    bench[Symbol.dispose]();
    process.exit(0);
  });
}
