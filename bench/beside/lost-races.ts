/** Three hostile processes, one of them killed every second or two: what was missed, whether it was noticed, and what restores. */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { digestRows } from '../../test/compat/support/contents.ts';
import { RunningApplication } from '../../test/support/applications/run-application.ts';
import type { HostileReport } from '../../test/support/applications/settings.ts';
import { Random } from '../../test/faults/random.ts';
import type { RunFolder } from '../measurement.ts';
import { type BesideContext, type BesideMeasurement, gather, lineOf } from './beside.ts';
import type { Companion } from './companions.ts';
import { Replicator } from './replicator.ts';

const ROUND_SECONDS = 3;
const SEED = 11;
/** Litestream looks at its databases once a second. */
const SETTLE_MS = 2_500;

interface Followed {
  readonly operations: number;
  readonly lost: number | undefined;
  readonly snapshots: number | undefined;
  /** 1 when the restored database is the live one. */
  readonly equal: number | undefined;
}

function digestOf(path: string): string {
  using database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  return digestRows(database);
}

/** @returns how much they did */
async function beHostile(path: string, seconds: number, random: Random): Promise<number> {
  let operations = 0;
  const endMs = performance.now() + 1000 * seconds;
  while (performance.now() < endMs) {
    const settings = (): unknown => ({ seconds: ROUND_SECONDS, seed: random.int(1, 1e9) });
    await using doomed = new RunningApplication('hostile', path, settings());
    await using one = new RunningApplication('hostile', path, settings());
    await using other = new RunningApplication('hostile', path, settings());
    await delay(random.int(1000, 2000));
    await doomed.kill();
    for (const lived of [one, other]) operations += (await lived.report<HostileReport>()).operations;
  }
  return operations;
}

async function followOnce(
  context: BesideContext,
  companion: Companion,
  folder: RunFolder,
): Promise<Followed> {
  const path = folder.file('app.db');
  // Open throughout, as an application with a pool of connections is.
  await using silent = new RunningApplication('silent', path, {});
  await silent.reported();
  await using replicator = await Replicator.start(companion, folder);
  const operations = await beHostile(path, context.seconds, new Random(SEED));
  await delay(SETTLE_MS);
  const lost = (await replicator.metrics())['rivulet_lost_races_total'];
  const snapshots = companion.kind === 'litestream-v0.5' ? undefined : replicator.snapshots;
  const restored = folder.file('restored.db');
  const isRestored = await replicator.restore(restored).then(
    () => true,
    (error: unknown) => (context.tell(String(error)), false),
  );
  await silent.close();
  if (companion.tool === undefined) return { operations, lost, snapshots: undefined, equal: undefined };
  return { operations, lost, snapshots, equal: isRestored && digestOf(restored) === digestOf(path) ? 1 : 0 };
}

export const lostRaces: BesideMeasurement = {
  name: 'lost-races',
  title: 'Hostile applications: three processes, kills, checkpoints in all modes',
  async run(context) {
    const results = await gather(context, { what: 'hostile' }, async (companion, folder) =>
      followOnce(context, companion, folder),
    );
    const minutes = Math.max(1, context.seconds / 60);
    const most = { of: 'most' } as const;
    return [
      lineOf(results, { what: 'operations', unit: '' }, (r) => r.operations),
      lineOf(results, { what: 'lost races, noticed', unit: '', ...most }, (r) => r.lost),
      lineOf(
        results,
        {
          what: 'snapshots after the first, a minute',
          unit: '',
          ...most,
          goal: '<= 1',
          isMet: (snapshots: number) => snapshots <= 1,
        },
        (r) => (r.snapshots === undefined ? undefined : (r.snapshots - 1) / minutes),
      ),
      lineOf(
        results,
        { what: 'restore equals the live database', unit: '', goal: '1', isMet: (equal) => equal === 1 },
        (r) => r.equal,
      ),
    ];
  },
};
