/** A share of the fuzzing in each run of the tests, always the same; `npm run test:fuzz` goes on from there. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeFailure, runCampaign } from './campaign.ts';
import { REGRESSIONS } from './regressions.ts';
import { runCase } from './run-case.ts';
import { FUZZ_TARGETS, targetsNamed } from './targets.ts';

const SEED = 20_000;
const CASES_MAX = 300;
const MILLISECONDS_MAX = 250;

describe('any input is read, or refused with an error that says why', () => {
  for (const target of FUZZ_TARGETS) {
    it(target.name, async () => {
      const untilMs = performance.now() + MILLISECONDS_MAX;
      const { failure, outcomes } = await runCampaign({
        target,
        seed: SEED,
        from: 0,
        casesMax: CASES_MAX,
        untilMs,
      });
      assert.equal(failure, undefined, failure && describeFailure(target.name, SEED, failure));
      assert.ok(outcomes.accepted + outcomes.refused > 0);
    });
  }
});

describe('samples are in order', () => {
  for (const target of FUZZ_TARGETS) {
    it(target.name, async () => {
      let accepted = 0;
      for (const sample of await target.samples())
        if ((await runCase(target, sample)) === 'accepted') accepted++;
      assert.ok(accepted > 0, 'none of its samples is accepted: nothing behind the door is reached');
    });
  }
});

describe('what was found once', () => {
  for (const { target: name, what, input } of REGRESSIONS) {
    it(`${name}: ${what}`, async () => {
      const [target] = targetsNamed(name);
      assert.ok(target !== undefined);
      const outcome = await runCase(target, Uint8Array.from(Buffer.from(input, 'base64')));
      assert.equal(typeof outcome, 'string', JSON.stringify(outcome));
    });
  }
});
