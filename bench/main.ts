/**
 * Rivulet beside the real Litestream v0.3.13, in one run: `npm run bench -- [--only NAME] [--runs N] [--quick] [--save]`.
 * It prints; nothing here fails because something is slow.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstSnapshot } from './first-snapshot.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { type Measurement, RunFolder } from './measurement.ts';
import { restoreSegments } from './restore-segments.ts';
import { saturated } from './saturated.ts';
import { saveTable } from './save-table.ts';
import { formatTable, type Section } from './table.ts';
import { findTools } from './tools.ts';
import { writerDelay } from './writer-delay.ts';

const MEASUREMENTS: readonly Measurement[] = [
  restoreSegments,
  firstSnapshot,
  latency,
  writerDelay,
  saturated,
  idle,
];

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    runs: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
    rivulet: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const HELP = `npm run bench -- [options]
  --only NAME    only this measurement; may be repeated: ${MEASUREMENTS.map(({ name }) => name).join(', ')}
  --runs N       interleaved pairs of each measurement (default 5)
  --quick        small inputs, to see that everything works
  --save         also put the table into docs/benchmarks.md
  --rivulet PATH this executable instead of one compiled from the checkout
`;

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

function environment(): string {
  const [cpu] = cpus();
  const memoryGb = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus().length} x ${cpu?.model ?? 'unknown'}, ${memoryGb} GB, ${process.platform} ${process.arch}, Node.js ${process.version}`;
}

function chosen(): Measurement[] {
  const { only } = values;
  if (only === undefined) return [...MEASUREMENTS];
  return only.map((name) => {
    const found = MEASUREMENTS.find((measurement) => measurement.name === name);
    if (found === undefined) throw new Error(`there is no measurement "${name}"\n${HELP}`);
    return found;
  });
}

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('the benchmark reads /proc and runs on Linux only');
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  const cleanUp = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('SIGINT', () => process.exit(130)).once('exit', cleanUp);
  tell('compiling the package');
  const tools = findTools(folder, values.rivulet);
  const runs = values.quick ? 1 : Math.max(1, Number.parseInt(values.runs, 10));
  const sections: Section[] = [];
  for (const measurement of chosen()) {
    const { name, title } = measurement;
    tell(`${name}: ${title}`);
    using own = new RunFolder(folder, name);
    const context = { tools, folder: own.path, runs, quick: values.quick, tell };
    sections.push({ title, lines: await measurement.run(context) });
  }
  const report = [
    `${environment()}; ${new Date().toISOString().slice(0, 10)}.`,
    'Rivulet runs as its compiled package, through bin/rivulet; Litestream as its own executable.',
    `Medians of ${runs} interleaved pairs${values.quick ? ' with small inputs: not for comparison' : ''}.`,
    '',
    formatTable(sections),
  ].join('\n');
  process.stdout.write(`\n${report}\n`);
  if (values.save) saveTable(report);
}

if (values.help) process.stdout.write(HELP);
else await main();
