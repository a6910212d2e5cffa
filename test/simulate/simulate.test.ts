/** A share of the simulated runs with every `npm test`; `npm run test:simulate` does as many as wanted. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { planRun, type RunPlan } from './plan.ts';
import { run } from './run.ts';
import { kindOf, shorten } from './shorten.ts';
import { Bench } from './world/judge.ts';

const SEEDS = 40;

describe('the simulator', () => {
  const bench = new Bench();
  after(() => bench[Symbol.dispose]());

  it('finds no violated invariant', async () => {
    let commits = 0;
    let kills = 0;
    let takeOvers = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violation, counts, trace } = await run(planRun(seed), bench);
      assert.equal(violation, undefined, `seed ${seed}:\n${trace.join('\n')}`);
      commits += counts.commits;
      kills += counts.kills;
      takeOvers += counts.takeOvers;
    }
    assert.ok(commits > 1_000 && kills > 10 && takeOvers > 0, JSON.stringify({ commits, kills, takeOvers }));
  });

  it('does the same again for the same seed', async () => {
    for (const seed of [3, 23, 71, 84]) {
      const [one, other] = [await run(planRun(seed), bench), await run(planRun(seed), bench)];
      assert.deepEqual(one, other);
      assert.ok(one.trace.length > 2);
    }
  });

  it('plans differ from seed to seed, and know every kind of event', () => {
    const plans = Array.from({ length: 3_000 }, (_, seed) => planRun(seed));
    const kinds = new Set(plans.flatMap(({ events }) => events.map(({ kind }) => kind)));
    assert.equal(kinds.size, 26);
    assert.equal(new Set(plans.map((plan) => JSON.stringify(plan.events))).size, plans.length);
    const { length } = plans.filter(({ settings }) => settings.second !== undefined);
    assert.ok(length > 300 && length < 1_500);
  });
});

describe('shortening', () => {
  const plan = planRun(9);
  const events = planRun(12).events.concat(plan.events);
  const long: RunPlan = { ...plan, events };

  it('keeps what the violation needs, and nothing else', async () => {
    const needed = events[Math.floor(events.length / 2)];
    assert.ok(needed !== undefined);
    const violates = async (one: RunPlan): Promise<string | undefined> =>
      one.events.includes(needed) ? 'page 17 is wrong' : 'page 17 is gone';
    const short = await shorten(long, 'page 4 is wrong', violates, performance.now() + 10_000);
    assert.deepEqual(short.events, [needed]);
    assert.equal(short.settings.host.interleaving, 0);
    assert.equal(short.settings.second, undefined);
  });

  it('gives the plan itself when nothing can be left out, and when there is no time', async () => {
    const needsAll = async (one: RunPlan): Promise<string | undefined> =>
      JSON.stringify(one) === JSON.stringify(long) ? 'wrong' : undefined;
    assert.equal(await shorten(long, 'wrong', needsAll, performance.now() + 10_000), long);
    assert.equal(await shorten(long, 'wrong', async () => 'wrong', 0), long);
  });

  it('numbers and names make no difference to what is wrong', () => {
    assert.equal(kindOf('gen 0123456789abcdef at 3/400'), kindOf('gen fedcba9876543210 at 12/7'));
    assert.notEqual(kindOf('does not restore'), kindOf('not caught up'));
  });
});
