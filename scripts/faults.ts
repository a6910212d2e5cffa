/**
 * Runs the fault trials: `node scripts/faults.ts [--seed N] [--trials M] [--only crash|destination]`. Trial i has the seed
 * N + i, so `--seed` with a failed trial's seed and `--trials 1` repeats it.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const KINDS = ['crash', 'destination'];
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

async function run({ seed, trials, kinds }: ReturnType<typeof readOptions>): Promise<number> {
  console.log(`seed ${seed}, trials ${trials}`);
  const files = kinds.flatMap((kind) => globSync(`test/faults/${kind}*.test.ts`, { cwd: ROOT }));
  const flags = ['--test', '--test-reporter=spec', '--test-concurrency=1'];
  const child = spawn(process.execPath, [...flags, ...files], {
    cwd: ROOT,
    env: { ...process.env, RIVULET_SEED: String(seed), RIVULET_TRIALS: String(trials) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

try {
  process.exitCode = await run(readOptions());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error('usage: npm run test:faults -- [--seed N] [--trials M] [--only crash|destination]');
  process.exitCode = 1;
}
