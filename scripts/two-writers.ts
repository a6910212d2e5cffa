/**
 * Two writers on one replica path, frozen, woken and killed: `node scripts/two-writers.ts [--seed N] [--schedules M]
 * [--on directory|ceph] [--at-once K] [--story]`. Schedule i has the seed N + i, so `--seed` with a failed schedule's seed and
 * `--schedules 1` repeats it. Without `--on` both places get half of the schedules, or the directory all where Ceph is missing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PLACE_NAMES, runPlaces } from '../test/servers/two-writers/run-places.ts';

const DEFAULT_SCHEDULES = 30;
const SEED_LIMIT = 1_000_000;

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`--${name} is ${text}; expected a whole number`);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      schedules: { type: 'string' },
      on: { type: 'string' },
      'at-once': { type: 'string' },
      story: { type: 'boolean' },
    },
  });
  const { seed, schedules, on, story } = values;
  const place = PLACE_NAMES.find((name) => name === on);
  if (on !== undefined && place === undefined)
    throw new Error(`--on is ${on}; expected ${PLACE_NAMES.join(' or ')}`);
  const atOnce = values['at-once'];
  return {
    seed: seed === undefined ? Math.floor(Math.random() * SEED_LIMIT) : wholeNumber('seed', seed),
    schedules: schedules === undefined ? DEFAULT_SCHEDULES : wholeNumber('schedules', schedules),
    on: place,
    atOnce: atOnce === undefined ? availableParallelism() * 2 : wholeNumber('at-once', atOnce),
    tellStory: story === true,
  };
}

const folder = mkdtempSync(join(tmpdir(), 'rivulet-places-'));
try {
  const options = readOptions();
  console.log(`seed ${options.seed}, schedules ${options.schedules}`);
  const summaries = await runPlaces({ ...options, folder, say: (text) => console.log(text) });
  process.exitCode = summaries.every(({ failed }) => failed === 0) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(
    'usage: npm run test:two-writers -- [--seed N] [--schedules M] [--on directory|ceph] [--at-once K]',
  );
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
