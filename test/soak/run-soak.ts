/** One soak from beginning to end: plan, play, judge, tell. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoMounts } from '../faults/destination/tmpfs.ts';
import { DATABASES, soakPlaceIn } from './place.ts';
import { DISK_WEATHERS, NETWORK_WEATHERS, planSoak } from './plan.ts';
import { minuteOf, storyOf, summaryOf } from './report.ts';
import { Soak } from './soak.ts';
import { judgeSoak } from './verdict.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly say: (text: string) => void;
}

const MINUTE_MS = 60_000;

/** @returns whether everything held; the folder is kept when it did not */
export async function runSoak({ seed, minutes, say }: SoakOptions): Promise<boolean> {
  const noDisks = whyNoMounts();
  if (noDisks !== false) say(`without full and read-only disks: ${noDisks}`);
  const plan = planSoak({
    seed,
    durationMs: minutes * MINUTE_MS,
    applications: DATABASES.reduce((sum, { applications }) => sum + applications, 0),
    weathers: noDisks === false ? [...NETWORK_WEATHERS, ...DISK_WEATHERS] : NETWORK_WEATHERS,
  });
  const folder = mkdtempSync(join(tmpdir(), `rivulet-soak-${seed}-`));
  const soak = new Soak(plan, soakPlaceIn(folder));
  let minute = 0;
  const timer = setInterval(() => say(minuteOf(soak, ++minute)), MINUTE_MS);
  try {
    await soak.run(noDisks === false);
  } finally {
    clearInterval(timer);
    await soak[Symbol.asyncDispose]();
  }
  const verdict = judgeSoak(soak, plan);
  say(summaryOf(soak, verdict));
  if (verdict.failures.length === 0) {
    rmSync(folder, { recursive: true, force: true });
    say(`soak of ${minutes} min with seed ${seed}: everything held`);
    return true;
  }
  writeFileSync(join(folder, 'vitals.json'), JSON.stringify(soak.lives.map(({ points }) => points)));
  say(`\nthe last minute:\n${storyOf(soak)}\n`);
  for (const failure of verdict.failures) say(`FAILED: ${failure}`);
  say(`repeat with: npm run soak -- --seed ${seed} --minutes ${minutes}\nfiles are kept in ${folder}`);
  return false;
}
