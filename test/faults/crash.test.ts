/** Trials with killed, frozen and restarted processes; `RIVULET_SEED` and `RIVULET_TRIALS` say which and how many. */
import { after, suite, test } from 'node:test';
import { planTrial } from './plan.ts';
import { Summary } from './summary.ts';
import { runTrial } from './trial.ts';

const SIDE_BY_SIDE = 2;
const TRIAL_TIMEOUT_MS = 300_000;
const firstSeed = Number(process.env['RIVULET_SEED'] ?? 1);
const trials = Number(process.env['RIVULET_TRIALS'] ?? 2);
const summary = new Summary();

suite('crash safety', { concurrency: SIDE_BY_SIDE }, () => {
  for (let n = 0; n < trials; n++) {
    const plan = planTrial(firstSeed + n);
    test(`seed ${plan.seed}, ending ${plan.ending}`, { timeout: TRIAL_TIMEOUT_MS }, async () => {
      summary.add(plan, await runTrial(plan));
    });
  }
  after(() => console.log(`\n${String(summary)}\n`));
});
