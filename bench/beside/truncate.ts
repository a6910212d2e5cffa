/** The application's own `wal_checkpoint(TRUNCATE)`: how long it takes, and whether it fails. */
import { statSync } from 'node:fs';
import { runApplication } from '../../test/support/applications/run-application.ts';
import type { TruncatingReport, TruncatingSettings } from '../../test/support/applications/settings.ts';
import { LoopbackS3 } from '../../test/support/loopback-s3.ts';
import { SlowWay } from '../../test/support/slow-way.ts';
import type { RunFolder } from '../measurement.ts';
import {
  type BesideContext,
  type BesideLine,
  type BesideMeasurement,
  gather,
  lineOf,
  type Results,
} from './beside.ts';
import type { Companion } from './companions.ts';
import { Replicator } from './replicator.ts';

type Kind = Omit<TruncatingSettings, 'seconds'>;

const LONGEST_MS_MAX = 250;
const BUSY_TIMEOUT_MS = 10_000;
const BASE = { busyTimeoutMs: BUSY_TIMEOUT_MS, rowBytes: 500 };
const AFTER_BURST: Kind = { ...BASE, burst: 20, pausesMs: [300, 150, 110, 90, 40, 210], restMs: 250 };
const RIGHT_AFTER: Kind = { ...BASE, burst: 5, pausesMs: [0], restMs: 200 };
const MIXED: Kind = { ...BASE, burst: 20, pausesMs: [300, 110, 0, 40], restMs: 250 };

function linesOf(results: Results<TruncatingReport>, what: string): BesideLine[] {
  const longest = { what: `${what}: longest`, unit: 'ms', of: 'most' } as const;
  const failed = { what: `${what}: failed`, unit: '%', of: 'most' } as const;
  return [
    lineOf(
      results,
      { ...longest, goal: `<= ${LONGEST_MS_MAX} ms`, isMet: (ms) => ms <= LONGEST_MS_MAX },
      (r) => r.longestMs,
    ),
    lineOf(results, { ...failed, goal: 'none', isMet: (share) => share === 0 }, failedShare),
  ];
}

function failedShare({ failed, checkpoints }: TruncatingReport): number {
  return (100 * failed) / checkpoints;
}

async function besideReplica(
  context: BesideContext,
  kind: Kind,
  companion: Companion,
  folder: RunFolder,
): Promise<TruncatingReport> {
  await runApplication('truncating', folder.file('app.db'), { ...kind, seconds: 0.1 });
  await using _replicator = await Replicator.start(companion, folder);
  return await runApplication('truncating', folder.file('app.db'), { ...kind, seconds: context.seconds });
}

export const truncate: BesideMeasurement = {
  name: 'truncate',
  title: `wal_checkpoint(TRUNCATE) of the application, busy timeout ${BUSY_TIMEOUT_MS / 1000} s`,
  async run(context) {
    const lines: BesideLine[] = [];
    for (const [what, kind] of [
      ['some time after a burst', AFTER_BURST],
      ['right after commits', RIGHT_AFTER],
    ] as const) {
      const results = await gather(context, { what }, async (companion, folder) =>
        besideReplica(context, kind, companion, folder),
      );
      lines.push(...linesOf(results, what));
    }
    return lines;
  },
};

const KEYS = { 'access-key-id': 'AKIATEST', 'secret-access-key': 'secretsecret' };
/** The whole of what is asked for; shorter runs take less. */
const LARGE_BYTES = 1e9;
const LARGE_SECONDS = 30;
const SMALL_BYTES = 100e6;
const ROW_BYTES = 1e6;
/** The upload goes on for so much longer than the application runs: a checkpoint may take its whole busy timeout. */
const UPLOAD_LONGER_SECONDS = 20;

async function besideFirstSnapshot(
  context: BesideContext,
  bytes: number,
  companion: Companion,
  folder: RunFolder,
): Promise<TruncatingReport & { readonly databaseMb: number }> {
  const path = folder.file('app.db');
  const fill = { ...BASE, rowBytes: ROW_BYTES, burst: bytes / ROW_BYTES, pausesMs: [0], restMs: 0 };
  await runApplication('truncating', path, { ...fill, seconds: 0.001 });
  await using server = await LoopbackS3.start();
  await using way = await SlowWay.open(server.endpoint, bytes / (context.seconds + UPLOAD_LONGER_SECONDS));
  const replica = {
    type: 's3',
    bucket: 'bucket',
    path: 'db',
    region: 'us-east-1',
    ...KEYS,
    endpoint: way.endpoint,
    'force-path-style': true,
  };
  await using replicator = await Replicator.start(companion, folder, { replica, early: true });
  if (companion.tool !== undefined) await replicator.until(() => server.count('PutObject', 'UploadPart') > 0);
  const settings = { ...MIXED, seconds: context.seconds };
  const felt = await runApplication<TruncatingReport>('truncating', path, settings);
  const isStored = [...server.objects().keys()].some((key) => key.includes('/snapshots/'));
  if (isStored) context.tell('  not meaningful: the first snapshot was stored before the application ended');
  // What is left of the upload need not be waited for.
  way.bytesPerSecond = Number.POSITIVE_INFINITY;
  return { ...felt, databaseMb: statSync(path).size / 1e6 };
}

export const truncateFirstSnapshot: BesideMeasurement = {
  name: 'truncate-first-snapshot',
  title: 'wal_checkpoint(TRUNCATE) during a first snapshot to a slow destination (S3)',
  async run(context) {
    const bytes = context.seconds >= LARGE_SECONDS ? LARGE_BYTES : SMALL_BYTES;
    const what = `database of ${bytes / 1e6} MB`;
    const only = ['none', 'rivulet', 'litestream-v0.3'] as const;
    const results = await gather(context, { what, only }, async (companion, folder) =>
      besideFirstSnapshot(context, bytes, companion, folder),
    );
    return linesOf(results, what);
  },
};

const FSYNC_MS = 100;
const FAILED_SHARE_MAX = 2;
const MEGABYTE: Kind = {
  busyTimeoutMs: BUSY_TIMEOUT_MS,
  autoCheckpointPages: 0,
  rowBytes: 1e6,
  burst: 1,
  pausesMs: [10, 250, 60, 130, 0, 180, 90, 300, 30],
  restMs: 300,
};

export const truncateSlowDisk: BesideMeasurement = {
  name: 'truncate-slow-disk',
  title: `wal_checkpoint(TRUNCATE) with fsync of ${FSYNC_MS} ms and automatic checkpoints off`,
  async run(context) {
    const { slowDisk } = context;
    if (slowDisk === undefined) return [];
    const env = slowDisk.environment(FSYNC_MS);
    const what = 'after a megabyte';
    const results = await gather(context, { what, only: ['none', 'rivulet'] }, async (companion, folder) => {
      const path = folder.file('app.db');
      await runApplication('truncating', path, { ...MEGABYTE, seconds: 0.001 });
      await using _replicator = await Replicator.start(companion, folder, { env });
      const settings = { ...MEGABYTE, seconds: context.seconds };
      return await runApplication<TruncatingReport>('truncating', path, settings, { env });
    });
    return [
      lineOf(results, { what: `${what}: longest`, unit: 'ms', of: 'most' }, (r) => r.longestMs),
      lineOf(
        results,
        {
          what: `${what}: failed`,
          unit: '%',
          goal: `<= ${FAILED_SHARE_MAX} %`,
          isMet: (share) => share <= FAILED_SHARE_MAX,
        },
        failedShare,
      ),
    ];
  },
};
