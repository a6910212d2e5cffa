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
import { runBatches } from './test/run-batches.ts';

const USAGE = `usage: node scripts/test.ts ${SUITES.join('|')} [PATTERN] [--jobs N]`;
/** Many tests wait for something, and leave the processor to others meanwhile. */
const JOBS = availableParallelism() + 1;

async function main(suite: Suite, pattern: string | undefined, jobs: number): Promise<boolean> {
  const { batches, flags } = narrow(batchesOf(suite), pattern);
  const place = suite === 'unit' ? 'memory' : 'disk';
  return runBatches(batches, { limits: limitsOf(suite), place, flags }, jobs);
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
} else if (!(await main(suite, pattern, jobs))) {
  process.exitCode = 1;
}
