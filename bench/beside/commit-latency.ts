/** How long the commits of a steady application take, beside how long they take alone. */
import { runWriter } from '../run-writer.ts';
import { quantile } from '../statistics.ts';
import { type BesideLine, type BesideMeasurement, gather, lineOf, ratioOf } from './beside.ts';
import { Replicator } from './replicator.ts';

const RATES = [200, 500];
const P99_RATIO_MAX = 1.05;
const P999_RATIO_MAX = 1.3;

interface Latency {
  readonly p99Us: number;
  readonly p999Us: number;
  readonly locks: number | undefined;
}

export const commitLatency: BesideMeasurement = {
  name: 'commit-latency',
  title: 'Commits at a steady rate',
  async run(context) {
    const lines: BesideLine[] = [];
    for (const rate of RATES) {
      const what = `${rate} a second`;
      const results = await gather<Latency>(context, { what }, async (companion, folder) => {
        const path = folder.file('app.db');
        await runWriter('saturated-writer', path, 0.1, 300);
        await using replicator = await Replicator.start(companion, folder);
        const micros = (await runWriter('paced-writer', path, rate, context.seconds)) as number[];
        const locks = (await replicator.metrics())['rivulet_write_locks_total'];
        return { p99Us: quantile(micros, 0.99), p999Us: quantile(micros, 0.999), locks };
      });
      const p99 = (r: Latency): number => r.p99Us;
      const p999 = (r: Latency): number => r.p999Us;
      const p99Goal = { goal: `<= ${P99_RATIO_MAX}`, isMet: (ratio: number) => ratio <= P99_RATIO_MAX };
      const p999Goal = { goal: `<= ${P999_RATIO_MAX}`, isMet: (ratio: number) => ratio <= P999_RATIO_MAX };
      const noLock = { goal: 'none', isMet: (locks: number) => locks === 0 };
      lines.push(
        lineOf(results, { what: `${what}: p99`, unit: 'us' }, p99),
        ratioOf(results, { what: `${what}: p99, times none`, ...p99Goal }, p99),
        lineOf(results, { what: `${what}: p99.9`, unit: 'us' }, p999),
        ratioOf(results, { what: `${what}: p99.9, times none`, ...p999Goal }, p999),
        lineOf(results, { what: `${what}: write locks`, unit: '', of: 'most', ...noLock }, (r) => r.locks),
      );
    }
    return lines;
  },
};
