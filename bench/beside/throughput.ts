/** An application that commits as fast as it can: its share of what it does alone, and how large its WAL becomes. */
import { statSync } from 'node:fs';
import type { RunFolder } from '../measurement.ts';
import { runWriter } from '../run-writer.ts';
import {
  type BesideContext,
  type BesideLine,
  type BesideMeasurement,
  gather,
  lineOf,
  ratioOf,
} from './beside.ts';
import type { Companion } from './companions.ts';
import { Replicator } from './replicator.ts';

const ROW_BYTES = [1000, 300];
const SHARE_OF_NONE_MIN = 0.93;
const SHARE_OF_V03_MIN = 1.3;
const WAL_MB_MAX = 170;
const WAL_LOOK_MS = 20;

interface Throughput {
  readonly perSecond: number;
  readonly walMb: number;
  readonly locks: number | undefined;
}

async function saturate(
  context: BesideContext,
  rowBytes: number,
  companion: Companion,
  folder: RunFolder,
): Promise<Throughput> {
  const path = folder.file('app.db');
  await runWriter('saturated-writer', path, 0.1, rowBytes);
  await using replicator = await Replicator.start(companion, folder);
  let walBytes = 0;
  const timer = setInterval(() => {
    walBytes = Math.max(walBytes, statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  }, WAL_LOOK_MS);
  try {
    const { commits } = (await runWriter('saturated-writer', path, context.seconds, rowBytes)) as {
      commits: number;
    };
    const locks = (await replicator.metrics())['rivulet_write_locks_total'];
    return { perSecond: commits / context.seconds, walMb: walBytes / 1e6, locks };
  } finally {
    clearInterval(timer);
  }
}

export const throughput: BesideMeasurement = {
  name: 'throughput',
  title: 'A writer that commits as fast as it can',
  async run(context) {
    const lines: BesideLine[] = [];
    for (const rowBytes of ROW_BYTES) {
      const what = `${rowBytes} byte rows`;
      const results = await gather(context, { what }, async (companion, folder) =>
        saturate(context, rowBytes, companion, folder),
      );
      const perSecond = (r: Throughput): number => r.perSecond;
      const none = { goal: `>= ${SHARE_OF_NONE_MIN}`, isMet: (share: number) => share >= SHARE_OF_NONE_MIN };
      const v03 = { goal: `>= ${SHARE_OF_V03_MIN}`, isMet: (share: number) => share >= SHARE_OF_V03_MIN };
      const wal = { goal: `<= ${WAL_MB_MAX} MB`, isMet: (mb: number) => mb <= WAL_MB_MAX };
      lines.push(
        lineOf(results, { what: `${what}: commits`, unit: '/s' }, perSecond),
        ratioOf(results, { what: `${what}: share of none`, ...none }, perSecond),
        ratioOf(results, { what: `${what}: times v0.3.13`, ...v03 }, perSecond, 'litestream-v0.3'),
        lineOf(results, { what: `${what}: WAL at most`, unit: 'MB', of: 'most', ...wal }, (r) => r.walMb),
        lineOf(results, { what: `${what}: write locks`, unit: '' }, (r) => r.locks),
      );
    }
    return lines;
  },
};
