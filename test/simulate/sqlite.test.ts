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

const SEEDS = 150;

function observe(subject: Subject, seed: number): { seen: Seen[]; steps: string[] } {
  const watcher = new Watcher();
  const seen: Seen[] = [];
  const steps: string[] = [];
  for (const step of sensible(planSteps(seed))) {
    steps.push(JSON.stringify(step));
    seen.push(watcher.see(subject.perform(step), subject.log(), subject.index()));
  }
  subject.close();
  return { seen, steps };
}

test('the simulated SQLite leaves log and index as the real one does', () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    // Every third without powersafe overwrite.
    const isPadded = seed % 3 === 0;
    const scratch = mkdtempSync(join(tmpdir(), 'rivulet-simulated-sqlite-'));
    try {
      const real = observe(new RealSubject(scratch, isPadded), seed);
      const simulated = observe(new SimSubject(seed, isPadded), seed);
      for (const [i, seen] of real.seen.entries()) {
        const story = real.steps.slice(Math.max(0, i - 12), i + 1).join('\n');
        assert.deepEqual(simulated.seen[i], seen, `seed ${seed}, step ${i}:\n${story}`);
        kinds.add(`salts: ${seen.salts}`).add(`log: ${seen.log}`);
        if (seen.answer.startsWith('1 ')) kinds.add('busy checkpoint');
        for (const kind of kindsOf(seen)) kinds.add(kind);
      }
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  // The schedules are worth something only if they come to all of these.
  const needed = ['salts: one more', 'salts: others', 'log: none', 'log: empty', 'busy checkpoint', ...KINDS];
  for (const kind of needed) assert.ok(kinds.has(kind), `no schedule came to "${kind}"`);
});

const KINDS = [
  'torn index',
  'recovered index of an empty log',
  'recovered index of a log',
  'salts that are not in the log yet',
  'partly backfilled',
  'all read marks used',
  'stale read transaction',
] as const;

function kindsOf({ answer, index }: Seen): (typeof KINDS)[number][] {
  if (index === 'torn') return ['torn index'];
  if (typeof index === 'string') return [];
  const { change, frames, backfilledFrames, readMarks, hasSaltsOfLog, knowsPageCount } = index;
  const is: Record<(typeof KINDS)[number], boolean> = {
    'torn index': false,
    'recovered index of an empty log': frames === 0 && !knowsPageCount,
    'recovered index of a log': change === 0 && frames > 0,
    'salts that are not in the log yet': !hasSaltsOfLog && frames === 0 && change > 0,
    'partly backfilled': backfilledFrames > 0 && backfilledFrames < frames,
    'all read marks used': !readMarks.includes(0xffff_ffff),
    'stale read transaction': answer === '517',
  };
  return KINDS.filter((kind) => is[kind]);
}
