/**
 * Runs a suite with Node's own test runner: `node scripts/test.ts unit|compat|package|servers|faults [PATTERN]`.
 *
 * Rooms whose tests leave nothing behind share one process, which is many times faster; tests that start commands or
 * hold databases open get a process per file. Any warning that Node.js prints fails the run.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

interface Stage {
  readonly title: string;
  readonly files: readonly string[];
  readonly isolation: 'none' | 'process';
}

interface Outcome {
  readonly passed: boolean;
  readonly counts: ReadonlyMap<string, number>;
  readonly warnings: readonly string[];
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** `servers` needs real ones (Ceph, OpenSSH, ...), which its files start; they say how to install what is missing. */
const SEPARATE_SUITES = ['compat', 'package', 'faults', 'servers'];
/** Folders of the unit suite whose files must not share a process. */
const ISOLATED = ['primary', 'replica', 'verify', 'daemon', 'cli', 'system'];
const WARNING = /\(node:\d+\) .*Warning: .*/;
const COUNT = /^ℹ (tests|pass|fail|cancelled|skipped|todo) (\d+)$/;

function folderOf(file: string): string {
  return file.split('/')[1] ?? '';
}

function stagesOf(suite: string): Stage[] {
  const files = globSync('test/**/*.test.ts', { cwd: ROOT })
    .map((file) => file.replaceAll('\\', '/'))
    .sort();
  if (SEPARATE_SUITES.includes(suite)) {
    return [{ title: suite, files: files.filter((file) => folderOf(file) === suite), isolation: 'process' }];
  }
  const unit = files.filter((file) => !SEPARATE_SUITES.includes(folderOf(file)));
  return [
    {
      title: 'one process',
      files: unit.filter((file) => !ISOLATED.includes(folderOf(file))),
      isolation: 'none',
    },
    {
      title: 'isolated',
      files: unit.filter((file) => ISOLATED.includes(folderOf(file))),
      isolation: 'process',
    },
  ];
}

/** A pattern narrows to the files whose path holds it, or else to the tests whose name matches it. */
function narrow(
  stages: readonly Stage[],
  pattern: string | undefined,
): { stages: Stage[]; options: string[] } {
  if (pattern === undefined) return { stages: [...stages], options: [] };
  const narrowed = stages.map((stage) => ({
    ...stage,
    files: stage.files.filter((file) => file.includes(pattern)),
  }));
  if (narrowed.some((stage) => stage.files.length > 0)) return { stages: narrowed, options: [] };
  return { stages: [...stages], options: [`--test-name-pattern=${pattern}`] };
}

/** Runs one stage, shows its output as it comes and reads counts and warnings from it. */
async function run(stage: Stage, options: readonly string[]): Promise<Outcome> {
  const flags = ['--test', '--test-reporter=spec', `--test-isolation=${stage.isolation}`, ...options];
  const child = spawn(process.execPath, [...flags, ...stage.files], {
    cwd: ROOT,
    env: process.stdout.isTTY ? { ...process.env, FORCE_COLOR: '1' } : process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const counts = new Map<string, number>();
  const warnings: string[] = [];
  const readLine = (line: string): void => {
    const count = COUNT.exec(line);
    if (count?.[1] !== undefined) counts.set(count[1], Number(count[2]));
    const warning = WARNING.exec(line);
    if (warning !== null) warnings.push(warning[0]);
  };
  watch(child.stdout, process.stdout, readLine);
  watch(child.stderr, process.stderr, readLine);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { passed: code === 0, counts, warnings };
}

function watch(
  from: NodeJS.ReadableStream,
  to: NodeJS.WritableStream,
  readLine: (line: string) => void,
): void {
  let rest = '';
  from.setEncoding('utf8');
  from.on('data', (text: string) => {
    to.write(text);
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) readLine(stripVTControlCharacters(line));
  });
}

function report(outcomes: readonly Outcome[], elapsedMs: number): void {
  const total = (name: string): number =>
    outcomes.reduce((sum, { counts }) => sum + (counts.get(name) ?? 0), 0);
  const counts = ['tests', 'pass', 'fail', 'cancelled', 'skipped'].map((name) => `${name} ${total(name)}`);
  console.log(`\nAll stages: ${counts.join(', ')} in ${(elapsedMs / 1000).toFixed(1)} s`);
  const warnings = outcomes.flatMap((outcome) => outcome.warnings);
  if (warnings.length > 0) console.error(`Node.js warned, which fails the run:\n  ${warnings.join('\n  ')}`);
}

async function main(suite: string, pattern: string | undefined): Promise<boolean> {
  const startedMs = performance.now();
  const { stages, options } = narrow(stagesOf(suite), pattern);
  const outcomes: Outcome[] = [];
  for (const stage of stages.filter(({ files }) => files.length > 0)) {
    console.log(`${suite}, ${stage.title}: ${stage.files.length} files`);
    outcomes.push(await run(stage, options));
  }
  report(outcomes, performance.now() - startedMs);
  if (outcomes.length === 0) console.error('No test files were found.');
  return outcomes.length > 0 && outcomes.every(({ passed, warnings }) => passed && warnings.length === 0);
}

const [suite, pattern, ...more] = process.argv.slice(2);
if (suite === undefined || ![...SEPARATE_SUITES, 'unit'].includes(suite) || more.length > 0) {
  console.error('usage: node scripts/test.ts unit|compat|package|servers|faults [PATTERN]');
  process.exitCode = 1;
} else if (!(await main(suite, pattern))) {
  process.exitCode = 1;
}
