/**
 * Rivulet beside the real Litestream, and applications beside both, in one run: `npm run bench -- [--only NAME] [--runs N]
 * [--seconds N] [--quick] [--save] [--json FILE]`. It prints; nothing here fails because something is slow.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BesideMeasurement } from './beside/beside.ts';
import type { BesideSection } from './beside/beside-table.ts';
import { BESIDE, runBeside } from './beside/run-beside.ts';
import { firstSnapshot } from './first-snapshot.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { type Measurement, RunFolder } from './measurement.ts';
import { restoreSegments } from './restore-segments.ts';
import { saturated } from './saturated.ts';
import { saveTable } from './save-table.ts';
import { formatTable, type Section } from './table.ts';
import { findTools, type Tools } from './tools.ts';
import { writerDelay } from './writer-delay.ts';

const MEASUREMENTS: readonly Measurement[] = [
  restoreSegments,
  firstSnapshot,
  latency,
  writerDelay,
  saturated,
  idle,
];

const NAMES: readonly string[] = [...MEASUREMENTS, ...BESIDE].map(({ name }) => name);
/** Of each application of `BESIDE`; the goals are meant for a minute. */
const SECONDS = 5;
const QUICK_SECONDS = 2;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    save: { type: 'boolean', default: false },
    json: { type: 'string' },
    rivulet: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const HELP = `npm run bench -- [options]
  --only NAME    only this measurement; may be repeated. Rivulet and Litestream:
                 ${MEASUREMENTS.map(({ name }) => name).join(', ')};
                 an application beside them:
                 ${BESIDE.map(({ name }) => name).join(', ')}
  --runs N       interleaved runs of each measurement (default 5; an application beside them 1)
  --seconds N    how long each application beside them runs (default ${SECONDS})
  --quick        small inputs and ${QUICK_SECONDS} seconds, to see that everything works
  --save         also put the tables into docs/benchmarks.md
  --json FILE    also write everything into this file
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

function chosen<T extends { readonly name: string }>(all: readonly T[]): T[] {
  const { only } = values;
  return all.filter(({ name }) => only === undefined || only.includes(name));
}

function wholeNumber(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : Math.max(1, Number.parseInt(text, 10));
}

async function measure(
  tools: Tools,
  folder: string,
  measurements: readonly Measurement[],
): Promise<Section[]> {
  const runs = values.quick ? 1 : wholeNumber(values.runs, 5);
  const sections: Section[] = [];
  for (const measurement of measurements) {
    const { name, title } = measurement;
    tell(`${name}: ${title}`);
    using own = new RunFolder(folder, name);
    const context = { tools, folder: own.path, runs, quick: values.quick, tell };
    sections.push({ title, lines: await measurement.run(context) });
  }
  if (sections.length === 0) return sections;
  const report = [
    `${environment()}; ${today()}.`,
    'Rivulet runs as its compiled package, through bin/rivulet; Litestream as its own executable.',
    `Medians of ${runs} interleaved pairs${values.quick ? ' with small inputs: not for comparison' : ''}.`,
    '',
    formatTable(sections),
  ].join('\n');
  process.stdout.write(`\n${report}\n`);
  if (values.save) saveTable('table', report);
  return sections;
}

async function measureBeside(
  tools: Tools,
  folder: string,
  measurements: readonly BesideMeasurement[],
): Promise<readonly BesideSection[]> {
  if (measurements.length === 0) return [];
  const runs = values.quick ? 1 : wholeNumber(values.runs, 1);
  const seconds = values.quick ? QUICK_SECONDS : wholeNumber(values.seconds, SECONDS);
  const { sections, table } = await runBeside(measurements, { tools, folder, seconds, runs, tell });
  const report = [
    `${environment()}; ${today()}.`,
    `Each application for ${seconds} s, ${runs === 1 ? 'once' : `${runs} times`} beside each.`,
    '',
    table,
  ].join('\n');
  process.stdout.write(`\n${report}\n`);
  if (values.save) saveTable('beside', report);
  return sections;
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('the benchmark reads /proc and runs on Linux only');
  const unknown = values.only?.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new Error(`there is no measurement "${unknown}"\n${HELP}`);
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  const cleanUp = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('SIGINT', () => process.exit(130)).once('exit', cleanUp);
  tell('compiling the package');
  const tools = findTools(folder, values.rivulet);
  const litestream = await measure(tools, folder, chosen(MEASUREMENTS));
  const beside = await measureBeside(tools, folder, chosen(BESIDE));
  if (values.json !== undefined)
    writeFileSync(
      values.json,
      `${JSON.stringify({ environment: environment(), litestream, beside }, undefined, 2)}\n`,
    );
}

if (values.help) process.stdout.write(HELP);
else await main();
