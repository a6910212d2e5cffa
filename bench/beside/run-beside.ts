/** An application beside nothing, Rivulet, and both Litestreams: everything that the table of promises to an application rests on. */
import { whyNoSlowDisk, SlowDisk } from '../../test/support/slow-disk.ts';
import { RunFolder } from '../measurement.ts';
import type { Tools } from '../tools.ts';
import type { BesideMeasurement } from './beside.ts';
import { type BesideSection, formatBeside } from './beside-table.ts';
import { commitLatency } from './commit-latency.ts';
import { findCompanions } from './companions.ts';
import { lostRaces } from './lost-races.ts';
import { ownCommits } from './own-commits.ts';
import { readThenWrite } from './read-then-write.ts';
import { throughput } from './throughput.ts';
import { truncate, truncateFirstSnapshot, truncateSlowDisk } from './truncate.ts';
import { writeLock } from './write-lock.ts';

export const BESIDE: readonly BesideMeasurement[] = [
  truncate,
  truncateFirstSnapshot,
  truncateSlowDisk,
  readThenWrite,
  writeLock,
  throughput,
  commitLatency,
  lostRaces,
  ownCommits,
];

export interface BesideRun {
  readonly tools: Tools;
  readonly folder: string;
  readonly seconds: number;
  readonly runs: number;
  readonly tell: (text: string) => void;
}

export interface BesideResult {
  readonly sections: readonly BesideSection[];
  readonly table: string;
}

export async function runBeside(
  measurements: readonly BesideMeasurement[],
  { tools, folder, seconds, runs, tell }: BesideRun,
): Promise<BesideResult> {
  const companions = findCompanions(tools, tell);
  const whyNot = whyNoSlowDisk();
  if (whyNot !== false) tell(`without the lines about a slow fsync: ${whyNot}`);
  const slowDisk = whyNot === false ? new SlowDisk(folder) : undefined;
  const sections: BesideSection[] = [];
  for (const measurement of measurements) {
    const { name, title } = measurement;
    tell(`${name}: ${title}`);
    using own = new RunFolder(folder, name);
    const context = { companions, folder: own.path, seconds, runs, slowDisk, tell };
    sections.push({ name, title, lines: await measurement.run(context) });
  }
  return { sections, table: formatBeside(companions, sections) };
}
