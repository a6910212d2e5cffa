/** How long the replicator holds the write lock: as the only writer finds it, and as Rivulet itself counts it. */
import { runApplication } from '../../test/support/applications/run-application.ts';
import type { ProbingReport } from '../../test/support/applications/settings.ts';
import {
  type BesideContext,
  type BesideLine,
  type BesideMeasurement,
  gather,
  lineOf,
  onDisk,
} from './beside.ts';
import { Replicator } from './replicator.ts';

const CASES = [
  { what: 'fast disk', fsyncMs: undefined, longestMsMax: 20 },
  { what: 'fsync of 50 ms', fsyncMs: 50, longestMsMax: 60 },
] as const;
const SATURATED = { perSecond: 0, rowBytes: 1000 };

async function runCase(
  context: BesideContext,
  { what, fsyncMs, longestMsMax }: (typeof CASES)[number],
): Promise<BesideLine[]> {
  const disk = onDisk(context, fsyncMs);
  if (disk === undefined) return [];
  const { env, ...choice } = disk;
  const results = await gather(context, { what, ...choice }, async (companion, folder) => {
    const path = folder.file('app.db');
    await runApplication('probing', path, { ...SATURATED, seconds: 0.1 });
    await using replicator = await Replicator.start(companion, folder, { env });
    const asked = { ...SATURATED, seconds: context.seconds };
    const felt = await runApplication<ProbingReport>('probing', path, asked, { env });
    const metrics = await replicator.metrics();
    const seconds = metrics['rivulet_write_lock_seconds_max'];
    return {
      ...felt,
      locks: metrics['rivulet_write_locks_total'],
      countedMs: seconds === undefined ? undefined : 1000 * seconds,
    };
  });
  const goal = { goal: `<= ${longestMsMax} ms`, isMet: (ms: number): boolean => ms <= longestMsMax };
  return [
    lineOf(results, { what: `${what}: longest, found`, unit: 'ms', of: 'most', ...goal }, (r) => r.longestMs),
    lineOf(
      results,
      { what: `${what}: longest, counted`, unit: 'ms', of: 'most', ...goal },
      (r) => r.countedMs,
    ),
    lineOf(results, { what: `${what}: refused`, unit: '', of: 'most' }, (r) => r.waits),
    lineOf(results, { what: `${what}: taken, counted`, unit: '' }, (r) => r.locks),
  ];
}

export const writeLock: BesideMeasurement = {
  name: 'write-lock',
  title: 'The write lock in other hands, under a saturated writer with 1 kB rows',
  async run(context) {
    const lines: BesideLine[] = [];
    for (const one of CASES) lines.push(...(await runCase(context, one)));
    return lines;
  },
};
