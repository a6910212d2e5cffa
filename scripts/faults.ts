/**
 * Runs the fault trials: `node scripts/faults.ts [--seed N] [--trials M] [--only crash|destination|verify]`. Trial i has the seed
 * N + i, so `--seed` with a failed trial's seed and `--trials 1` repeats it.
 */
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { batchesOf, limitsOf } from './test/batches.ts';
import { runBatches } from './test/run-batches.ts';

const KINDS = ['crash', 'destination', 'verify'];
const DEFAULT_TRIALS = 12;
const SEED_LIMIT = 1_000_000;

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`--${name} is ${text}; expected a whole number`);
}

function readOptions(): { seed: number; trials: number; kinds: readonly string[] } {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, trials: { type: 'string' }, only: { type: 'string' } },
  });
  const { seed, trials, only } = values;
  if (only !== undefined && !KINDS.includes(only))
    throw new Error(`--only is ${only}; expected ${KINDS.join(' or ')}`);
  return {
    seed: seed === undefined ? Math.floor(Math.random() * SEED_LIMIT) : wholeNumber('seed', seed),
    trials: trials === undefined ? DEFAULT_TRIALS : wholeNumber('trials', trials),
    kinds: only === undefined ? KINDS : [only],
  };
}

async function run({ seed, trials, kinds }: ReturnType<typeof readOptions>): Promise<boolean> {
  console.log(`seed ${seed}, trials ${trials}`);
  process.env['RIVULET_SEED'] = String(seed);
  process.env['RIVULET_TRIALS'] = String(trials);
  const batches = batchesOf('faults').filter(({ title }) =>
    kinds.some((kind) => basename(title).startsWith(kind)),
  );
  // Each trial has a limit of its own, and there may be any number of them.
  const limits = { ...limitsOf('faults'), batchMs: Number.POSITIVE_INFINITY };
  return runBatches(batches, { limits, place: 'disk', flags: [], isLive: true }, 1);
}

try {
  if (!(await run(readOptions()))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error('usage: npm run test:faults -- [--seed N] [--trials M] [--only crash|destination|verify]');
  process.exitCode = 1;
}
