/**
 * Plants the faults of `test/mutants/table.ts` one after another and runs the tests that must notice them:
 * `node scripts/mutants.ts [--only NAME] [--share I/N] [--jobs J] [--print]`. `--share 1/4` runs every fourth fault, beginning
 * with the first; `--print` prints the table for the guide instead. Each test is also run without a fault: one that fails
 * anyway would notice nothing.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutantTable } from '../test/mutants/describe.ts';
import { withMutant } from '../test/mutants/environment.ts';
import { type Catcher, type Mutant, urlOf } from '../test/mutants/mutant.ts';
import { plant } from '../test/mutants/plant.ts';
import { describeCatcher } from '../test/mutants/describe.ts';
import { MUTANTS } from '../test/mutants/table.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DEFAULT_JOBS = 2;
/** Far more than a test takes; one that hangs has noticed something, too. */
const TIMEOUT_MS = 120_000;
/** A fault that is no program notices nothing: these must not be the reason. */
const NOT_A_FAULT = /SyntaxError|ReferenceError|expected once/;

interface Run {
  readonly failed: boolean;
  readonly output: string;
  readonly elapsedMs: number;
}

interface Verdict {
  readonly mutant: Mutant;
  /** What did not notice it, or could not be believed. */
  readonly problems: readonly string[];
  readonly elapsedMs: number;
}

function argumentsOf(catcher: Catcher): string[] {
  if (catcher.kind === 'simulate') {
    return [
      'scripts/simulate.ts',
      '--seed',
      String(catcher.seed),
      '--runs',
      String(catcher.runs),
      '--jobs',
      '1',
    ];
  }
  const only = catcher.only === undefined ? [] : [`--test-name-pattern=${RegExp.escape(catcher.only)}`];
  return ['--test', '--test-isolation=none', '--test-reporter=tap', ...only, `test/${catcher.file}`];
}

async function run(catcher: Catcher, env: NodeJS.ProcessEnv): Promise<Run> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, argumentsOf(catcher), {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => void (output += text));
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { failed: code !== 0, output, elapsedMs: performance.now() - startedMs };
}

const sound = new Map<string, Promise<Run>>();

/** The same test without a fault, once. */
async function withoutFault(catcher: Catcher): Promise<Run> {
  const key = argumentsOf(catcher).join(' ');
  const before = sound.get(key);
  if (before !== undefined) return before;
  const now = run(catcher, process.env);
  sound.set(key, now);
  return now;
}

async function problemsOf(mutant: Mutant, catcher: Catcher): Promise<string[]> {
  const name = describeCatcher(catcher);
  const usual = await withoutFault(catcher);
  if (usual.failed) return [`${name} fails without any fault:\n${usual.output.slice(-2_000)}`];
  if (catcher.kind === 'test' && !/^# pass [1-9]/m.test(usual.output)) return [`${name} runs no test`];
  const { failed, output } = await run(catcher, withMutant(mutant.name));
  if (!failed) return [`${name} does not notice it`];
  const reason = NOT_A_FAULT.exec(output)?.[0];
  return reason === undefined ? [] : [`the fault is no program: ${reason}`];
}

async function judge(mutant: Mutant): Promise<Verdict> {
  const startedMs = performance.now();
  const problems: string[] = [];
  // A fault that cannot be planted would stop every test, which looks the same as being noticed.
  plant(mutant, readFileSync(new URL(urlOf(mutant)), 'utf8'));
  for (const catcher of mutant.caughtBy) problems.push(...(await problemsOf(mutant, catcher)));
  if (mutant.caughtBy.length === 0) problems.push('nothing is said to notice it');
  return { mutant, problems, elapsedMs: performance.now() - startedMs };
}

/** As many at a time as there are jobs. */
async function judgeAll(mutants: readonly Mutant[], jobs: number): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const rest = mutants[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const mutant of rest) {
      const verdict = await judge(mutant);
      verdicts.push(verdict);
      show(verdict);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return verdicts;
}

function show({ mutant, problems, elapsedMs }: Verdict): void {
  const caughtBy = mutant.caughtBy.map(describeCatcher).join(', ');
  const seconds = (elapsedMs / 1000).toFixed(1).padStart(5);
  console.log(
    `${problems.length === 0 ? 'caught' : 'MISSED'} ${seconds} s  ${mutant.name.padEnd(36)} ${caughtBy}`,
  );
  for (const problem of problems) console.error(`  ${problem}`);
}

function chosen(only: string | undefined, share: string | undefined): readonly Mutant[] {
  const [, part = '1', parts = '1'] =
    share === undefined ? [] : (/^(\d+)\/(\d+)$/.exec(share) ?? ['', '0', '0']);
  const [i, n] = [Number(part), Number(parts)];
  if (i < 1 || i > n) throw new Error(`--share is ${share}; expected as in 1/4`);
  const mutants = MUTANTS.filter(({ name }, at) => at % n === i - 1 && (only === undefined || name === only));
  if (mutants.length === 0) throw new Error(`there is no fault "${only}"; see test/mutants/table.ts`);
  return mutants;
}

async function main(): Promise<boolean> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { only: text, share: text, jobs: text, print: { type: 'boolean' } },
  });
  if (values.print === true) {
    console.log(mutantTable());
    return true;
  }
  const startedMs = performance.now();
  const mutants = chosen(values.only, values.share);
  const verdicts = await judgeAll(mutants, Number(values.jobs ?? DEFAULT_JOBS) || DEFAULT_JOBS);
  const missed = verdicts.filter(({ problems }) => problems.length > 0);
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  console.log(
    `\n${verdicts.length} faults planted, ${verdicts.length - missed.length} caught, in ${seconds} s`,
  );
  return missed.length === 0;
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error('usage: npm run test:mutants -- [--only NAME] [--share I/N] [--jobs J] [--print]');
  process.exitCode = 1;
}
