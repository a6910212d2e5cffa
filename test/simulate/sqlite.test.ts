/** The simulated SQLite against the real one: the same schedules, and the log must look the same after every step. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  planSteps,
  RealSubject,
  type Seen,
  sensible,
  SimSubject,
  type Subject,
  Watcher,
} from './sqlite-schedule.ts';

const SEEDS = 60;

function observe(subject: Subject, seed: number): { seen: Seen[]; steps: string[] } {
  const watcher = new Watcher();
  const seen: Seen[] = [];
  const steps: string[] = [];
  for (const step of sensible(planSteps(seed))) {
    steps.push(JSON.stringify(step));
    seen.push(watcher.see(subject.perform(step), subject.log()));
  }
  subject.close();
  return { seen, steps };
}

test('the simulated SQLite leaves the log as the real one does', () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const scratch = mkdtempSync(join(tmpdir(), 'rivulet-simulated-sqlite-'));
    try {
      const real = observe(new RealSubject(scratch), seed);
      const simulated = observe(new SimSubject(seed), seed);
      for (const [i, seen] of real.seen.entries()) {
        const story = real.steps.slice(Math.max(0, i - 12), i + 1).join('\n');
        assert.deepEqual(simulated.seen[i], seen, `seed ${seed}, step ${i}:\n${story}`);
        kinds.add(`salts: ${seen.salts}`).add(`log: ${seen.log}`);
        if (seen.answer.startsWith('1 ')) kinds.add('busy checkpoint');
      }
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  // The schedules are worth something only if they come to all of these.
  for (const kind of ['salts: one more', 'salts: others', 'log: none', 'log: empty', 'busy checkpoint'])
    assert.ok(kinds.has(kind), `no schedule came to "${kind}"`);
});
