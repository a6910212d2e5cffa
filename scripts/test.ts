/**
 * Runs a suite with Node's own test runner: `node scripts/test.ts unit|compat|package|servers|faults [PATTERN] [--jobs N]`.
 *
 * Each room whose tests leave nothing behind is one process, which is many times faster; tests that start commands or
 * hold databases open get a process per file. Several processes run at a time. A run fails when a test fails or hangs, when
 * something is left that keeps a process alive, when a process is left behind, and when Node.js prints any warning.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Suite, batchesOf, limitsOf, narrow, SUITES } from './test/batches.ts';
import { endBatches, type Outcome, runBatch } from './test/run-batch.ts';

const USAGE = `usage: node scripts/test.ts ${SUITES.join('|')} [PATTERN] [--jobs N]`;
/** Many tests wait for something, and leave the processor to others meanwhile. */
const JOBS = availableParallelism() + 1;

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function show({ title, text, counts, problems, elapsedMs }: Outcome): void {
  const verdict = problems.length === 0 ? 'passed' : 'FAILED';
  console.log(`${text}\n= ${title} ${verdict}: ${counts.get('tests') ?? 0} tests in ${seconds(elapsedMs)}\n`);
}

function summarize(outcomes: readonly Outcome[], elapsedMs: number): void {
  const total = (name: string): number =>
    outcomes.reduce((sum, { counts }) => sum + (counts.get(name) ?? 0), 0);
  for (const { title, problems } of outcomes.filter((outcome) => outcome.problems.length > 0)) {
    console.error(`${title} FAILED\n${problems.join('\n')}\n`);
  }
  const counts = ['tests', 'pass', 'fail', 'cancelled', 'skipped'].map((name) => `${name} ${total(name)}`);
  console.log(`All together: ${counts.join(', ')} in ${seconds(elapsedMs)}`);
}

async function main(suite: Suite, pattern: string | undefined, jobs: number): Promise<boolean> {
  const startedMs = performance.now();
  const { batches, flags } = narrow(batchesOf(suite), pattern);
  const manner = { limits: limitsOf(suite), place: suite === 'unit' ? 'memory' : 'disk', flags } as const;
  const outcomes: Outcome[] = [];
  const rest = batches.values();
  const work = async (): Promise<void> => {
    for (const batch of rest) {
      const outcome = await runBatch(batch, manner);
      show(outcome);
      outcomes.push(outcome);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  summarize(outcomes, performance.now() - startedMs);
  if (outcomes.length === 0) console.error('No test files were found.');
  return outcomes.length > 0 && outcomes.every(({ problems }) => problems.length === 0);
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: 'string', default: String(JOBS) } },
});
const [name, pattern, ...more] = positionals;
const suite = SUITES.find((one) => one === name);
const jobs = Number(values.jobs);
if (suite === undefined || more.length > 0 || !Number.isInteger(jobs) || jobs < 1) {
  console.error(USAGE);
  process.exitCode = 1;
} else {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      endBatches();
      process.exit(1);
    });
  }
  if (!(await main(suite, pattern, jobs))) process.exitCode = 1;
}
