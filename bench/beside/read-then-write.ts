/** How often SQLite returns "database is locked" to the only application, which reads and then writes in one plain transaction. */
import { runApplication } from '../../test/support/applications/run-application.ts';
import type {
  ReadingThenWritingReport,
  ReadingThenWritingSettings,
} from '../../test/support/applications/settings.ts';
import {
  type BesideContext,
  type BesideLine,
  type BesideMeasurement,
  gather,
  lineOf,
  onDisk,
} from './beside.ts';
import { Replicator } from './replicator.ts';

const FSYNC_MS = 50;
/** In a minute; shorter runs may have so many fewer. */
const SATURATED_LOCKED_MAX = 20;
const SECONDS_OF_GOAL = 60;

interface Case {
  readonly what: string;
  readonly settings: Omit<ReadingThenWritingSettings, 'seconds'>;
  readonly lockedMax: number;
  readonly fsyncMs?: number;
}

const SATURATED = { perSecond: 0, thinkMs: 0, rowBytes: 4096 };

const CASES: readonly Case[] = [
  { what: '200 a second', settings: { perSecond: 200, thinkMs: 2, rowBytes: 3000 }, lockedMax: 0 },
  { what: 'saturated, 4 kB rows', settings: SATURATED, lockedMax: SATURATED_LOCKED_MAX },
  {
    what: `saturated, 4 kB rows, fsync of ${FSYNC_MS} ms`,
    settings: SATURATED,
    lockedMax: SATURATED_LOCKED_MAX,
    fsyncMs: FSYNC_MS,
  },
];

async function runCase(
  context: BesideContext,
  { what, settings, lockedMax, fsyncMs }: Case,
): Promise<BesideLine[]> {
  const disk = onDisk(context, fsyncMs);
  if (disk === undefined) return [];
  const { env, ...choice } = disk;
  const results = await gather(context, { what, ...choice }, async (companion, folder) => {
    const path = folder.file('app.db');
    await runApplication('reading-then-writing', path, { ...settings, seconds: 0.1 });
    await using replicator = await Replicator.start(companion, folder, { env });
    const asked = { ...settings, seconds: context.seconds };
    const felt = await runApplication<ReadingThenWritingReport>('reading-then-writing', path, asked, { env });
    const metrics = await replicator.metrics();
    return { ...felt, writeLocks: metrics['rivulet_write_locks_total'] };
  });
  const most = Math.floor((lockedMax * context.seconds) / SECONDS_OF_GOAL);
  const goal = lockedMax === 0 ? 'none' : `<= ${lockedMax} a minute`;
  const perMinute = SECONDS_OF_GOAL / context.seconds;
  return [
    lineOf(
      results,
      {
        what: `${what}: locked`,
        unit: '',
        of: 'most',
        goal,
        isMet: (locked) => locked <= Math.max(most, lockedMax === 0 ? 0 : 1),
      },
      (r) => r.locked,
    ),
    lineOf(results, { what: `${what}: transactions`, unit: '/min' }, (r) => r.transactions * perMinute),
  ];
}

export const readThenWrite: BesideMeasurement = {
  name: 'read-then-write',
  title: 'Read, then write in one plain transaction, alone: "database is locked"',
  async run(context) {
    const lines: BesideLine[] = [];
    for (const one of CASES) lines.push(...(await runCase(context, one)));
    return lines;
  },
};
