/** Many schedules, several at a time, on a directory and on a real S3 server. */
import { join } from 'node:path';
import { parseConfig } from '../../../src/config/parse-config.ts';
import type { Destination } from '../../../src/config/settings.ts';
import { type CephRgw, startCephRgw, whyNoCeph } from '../../support/ceph-rgw.ts';
import { type Place, runSchedule, type ScheduleOutcome } from './run-schedule.ts';
import { makeSchedule } from './schedule.ts';

export const PLACE_NAMES = ['directory', 'ceph'] as const;
export type PlaceName = (typeof PLACE_NAMES)[number];

const BUCKET = 'two-writers';
/** Listings of S3 tell whole seconds. */
const CEPH_GRAIN_MS = 1_000;
const DIRECTORY_GRAIN_MS = 2;

export interface PlacesOptions {
  readonly seed: number;
  readonly schedules: number;
  /** Undefined: half of the schedules on each, all in directories where Ceph is missing. */
  readonly on: PlaceName | undefined;
  readonly atOnce: number;
  /** For replicas in directories. */
  readonly folder: string;
  readonly tellStory: boolean;
  readonly say: (text: string) => void;
}

export interface PlaceSummary {
  readonly schedules: number;
  readonly failed: number;
  readonly promises: number;
  readonly takeovers: number;
  readonly losses: number;
}

export async function runPlaces(options: PlacesOptions): Promise<PlaceSummary[]> {
  const { on, schedules, seed, say } = options;
  if (on !== undefined) return [await runPlace(on, options)];
  const why = whyNoCeph();
  if (why !== undefined) {
    say(why);
    return [await runPlace('directory', options)];
  }
  const half = Math.ceil(schedules / 2);
  return [
    await runPlace('directory', { ...options, schedules: half }),
    await runPlace('ceph', { ...options, seed: seed + half, schedules: schedules - half }),
  ];
}

async function runPlace(name: PlaceName, options: PlacesOptions): Promise<PlaceSummary> {
  await using stack = new AsyncDisposableStack();
  const place = name === 'directory' ? inDirectory(options.folder) : await onCeph(stack);
  const outcomes = await runAll(place, options);
  const sum = (of: (outcome: ScheduleOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const summary = {
    schedules: outcomes.length,
    failed: outcomes.filter(({ problems }) => problems.length > 0).length,
    promises: sum(({ promises }) => promises),
    takeovers: sum(({ takeovers }) => takeovers),
    losses: sum(({ losses }) => losses),
  };
  options.say(
    `${name}: ${summary.schedules} schedules, ${summary.failed} failed; ${summary.promises} times told that ` +
      `something is stored, ${summary.takeovers} take-overs, ${summary.losses} times told that the lease is lost`,
  );
  return summary;
}

function inDirectory(folder: string): Place {
  const destination = (name: string): Destination => ({ type: 'file', path: join(folder, name) });
  return { destination, grainMs: DIRECTORY_GRAIN_MS };
}

async function onCeph(stack: AsyncDisposableStack): Promise<Place> {
  const ceph = stack.use(await startCephRgw());
  await ceph.createBucket(BUCKET);
  return { destination: (name) => cephDestination(ceph, name), grainMs: CEPH_GRAIN_MS };
}

/** As a configuration file names it. */
function cephDestination({ endpoint, region, keys }: CephRgw, path: string): Destination {
  const text = JSON.stringify({
    dbs: [
      {
        path: '/app.db',
        replica: {
          type: 's3',
          bucket: BUCKET,
          path,
          endpoint,
          region,
          'force-path-style': true,
          'access-key-id': keys.accessKeyId,
          'secret-access-key': keys.secretAccessKey,
        },
      },
    ],
  });
  const places = { cwd: '/', home: '/' };
  const { config } = parseConfig(text, {
    file: 'ceph',
    environment: {},
    expandsEnvironment: false,
    ...places,
  });
  const destination = config.databases[0]?.replicas[0]?.destination;
  if (destination === undefined) throw new Error('the destination is not configured');
  return destination;
}

async function runAll(place: Place, options: PlacesOptions): Promise<ScheduleOutcome[]> {
  const { seed, schedules, atOnce, say, tellStory } = options;
  const outcomes: ScheduleOutcome[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < schedules) {
      const mine = seed + next++;
      const outcome = await runSchedule(makeSchedule(mine), place);
      outcomes.push(outcome);
      if (outcome.problems.length === 0 && !tellStory) continue;
      for (const line of outcome.story) say(`    ${line}`);
      say(`seed ${mine}: ${outcome.problems.join('; ') || 'no problem'}`);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(atOnce, schedules)) }, work));
  return outcomes;
}
