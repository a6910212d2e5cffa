/**
 * A long life in fast motion: `node scripts/soak.ts [--seed N] [--minutes M]`. Half an hour when nothing is said. The seed decides
 * what happens when; only the timing of processes differs between two runs.
 */
import { parseArgs } from 'node:util';
import { runSoak } from '../test/soak/run-soak.ts';

const DEFAULT_MINUTES = 30;
const SEED_LIMIT = 1_000_000;

function positive(name: string, text: string): number {
  if (/^\d{1,9}(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new Error(`--${name} is ${text}; expected a number greater than 0`);
}

function readOptions(): { seed: number; minutes: number } {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, minutes: { type: 'string' } } });
  const { seed, minutes } = values;
  return {
    seed: seed === undefined ? Math.ceil(Math.random() * SEED_LIMIT) : Math.floor(positive('seed', seed)),
    minutes: minutes === undefined ? DEFAULT_MINUTES : positive('minutes', minutes),
  };
}

try {
  if (process.platform !== 'linux') throw new Error('the soak reads /proc, which only Linux has');
  const options = readOptions();
  console.log(`seed ${options.seed}, ${options.minutes} min`);
  const held = await runSoak({ ...options, say: (text) => console.log(text) });
  process.exitCode = held ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error('usage: npm run soak -- [--seed N] [--minutes M]');
  process.exitCode = 1;
}
