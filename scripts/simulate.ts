/**
 * Runs the simulator: `node scripts/simulate.ts [--seed N] [--runs M] [--jobs J] [--mutant NAME] [--keep-going]`. Run i has
 * the seed N + i, so `--seed` with a failed run's seed and `--runs 1` repeats it. With `--mutant` a fault is planted into
 * the engine (test/mutants/), which the simulator must find. Ends at the first violation unless told to keep going.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { RunCounts } from '../test/simulate/run.ts';
import { addCounts, type Block, type BlockResult, type FoundViolation } from '../test/simulate/worker.ts';

const WORKER = fileURLToPath(new URL('../test/simulate/worker.ts', import.meta.url));
const DEFAULT_RUNS = 1_000;
const DEFAULT_JOBS = 2;
const SEED_LIMIT = 100_000_000;
const BLOCK_RUNS = 20;
const PROGRESS_MS = 10_000;
const VIOLATIONS_MAX = 10;
/** A run takes less than a second; to shorten one that violates something takes 20 s. */
const RUN_MS_MAX = 90_000;

interface Options {
  readonly seed: number;
  readonly runs: number;
  readonly jobs: number;
  readonly mutant: string | undefined;
  readonly keepGoing: boolean;
}

function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`--${name} is ${text}; expected a whole number`);
}

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { seed: text, runs: text, jobs: text, mutant: text, 'keep-going': { type: 'boolean' } },
  });
  return {
    seed: wholeNumber('seed', values.seed, Math.floor(Math.random() * SEED_LIMIT)),
    runs: wholeNumber('runs', values.runs, DEFAULT_RUNS),
    jobs: Math.max(1, wholeNumber('jobs', values.jobs, DEFAULT_JOBS)),
    mutant: values.mutant,
    keepGoing: values['keep-going'] ?? false,
  };
}

function* blocksOf({ seed, runs }: Options): Generator<Block> {
  for (let done = 0; done < runs; done += BLOCK_RUNS)
    yield { firstSeed: seed + done, runs: Math.min(BLOCK_RUNS, runs - done) };
}

async function environment(mutant: string | undefined): Promise<NodeJS.ProcessEnv> {
  if (mutant === undefined) return process.env;
  const { withMutant } = await import('../test/mutants/environment.ts');
  return withMutant(mutant);
}

class Tally {
  runs = 0;
  counts: RunCounts | undefined;
  readonly violations: FoundViolation[] = [];
  readonly #startedMs = performance.now();

  add(result: BlockResult): void {
    this.runs += result.runs;
    this.counts = addCounts(this.counts, result.counts);
    this.violations.push(...result.violations);
  }

  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }
}

async function simulate(options: Options): Promise<Tally> {
  const tally = new Tally();
  const blocks = blocksOf(options);
  const env = await environment(options.mutant);
  const timer = setInterval(() => tellProgress(options, tally), PROGRESS_MS);
  try {
    await Promise.all(
      Array.from({ length: options.jobs }, async () => runWorker(blocks, env, options, tally)),
    );
  } finally {
    clearInterval(timer);
  }
  return tally;
}

async function runWorker(
  blocks: Iterator<Block>,
  env: NodeJS.ProcessEnv,
  { keepGoing }: Options,
  tally: Tally,
): Promise<void> {
  const worker = fork(WORKER, { env });
  try {
    for (;;) {
      const isOver = tally.violations.length >= (keepGoing ? VIOLATIONS_MAX : 1);
      const next = isOver ? undefined : blocks.next();
      if (next === undefined || next.done === true) return;
      const result = await ask(worker, next.value);
      for (const violation of result.violations) tellViolation(violation);
      tally.add(result);
    }
  } finally {
    if (worker.connected) worker.disconnect();
  }
}

/** A worker tells each seed before it runs it, and at the end of the block what came of all. */
async function ask(worker: ChildProcess, block: Block): Promise<BlockResult> {
  return new Promise((resolve, reject) => {
    let seed = block.firstSeed;
    const fail = (why: string): void => {
      done();
      reject(new Error(`seed ${seed}: ${why}. Repeat it: npm run test:simulate -- --seed ${seed} --runs 1`));
    };
    const hangs = (): void => {
      worker.kill('SIGKILL');
      fail(`the run does not end within ${RUN_MS_MAX / 1000} s: something goes on without time going on`);
    };
    let timer = setTimeout(hangs, RUN_MS_MAX);
    const onExit = (code: number | null): void => fail(`the worker ended (${code})`);
    const onMessage = (message: unknown): void => {
      clearTimeout(timer);
      if (typeof message === 'number') {
        seed = message;
        timer = setTimeout(hangs, RUN_MS_MAX);
        return;
      }
      done();
      resolve(message as BlockResult);
    };
    const done = (): void => {
      clearTimeout(timer);
      worker.off('exit', onExit).off('message', onMessage);
    };
    worker.on('exit', onExit).on('message', onMessage);
    worker.send(block);
  });
}

function tellProgress({ runs }: Options, tally: Tally): void {
  const rate = (tally.runs / tally.seconds).toFixed(0);
  console.log(`${tally.runs} of ${runs} runs, ${rate} a second, violations: ${tally.violations.length}`);
}

function tellViolation({ seed, violation, lines }: FoundViolation): void {
  console.log(`\nVIOLATION at seed ${seed}: ${violation}`);
  console.log('The shortest run that was found to end in the same:');
  for (const line of lines) console.log(`  ${line}`);
  console.log(`Repeat it: npm run test:simulate -- --seed ${seed} --runs 1\n`);
}

function tellSummary(tally: Tally): void {
  console.log(`\n${tally.runs} runs in ${tally.seconds.toFixed(0)} s`);
  const { counts } = tally;
  if (counts === undefined) return;
  console.log(
    `commits ${counts.commits}, confirmations ${counts.confirmed}, restores ${counts.restores}, kills ${counts.kills}, ` +
      `power cuts ${counts.powerCuts}, take-overs ${counts.takeOvers}, objects damaged ${counts.tampered}`,
  );
  console.log(
    `generations ${counts.generations}, full snapshots ${counts.snapshots}, copies ${counts.copies}, ` +
      `proofs ${counts.proofs}, of damage ${counts.proofsOfDamage}`,
  );
  console.log(
    `largest log ${counts.walBytesMax} bytes, largest spool ${counts.spoolBytesMax} bytes, ` +
      `longest until all was caught up ${(counts.settleMsMax / 1000).toFixed(1)} s`,
  );
  console.log(
    `the application: locked at once ${counts.lockedAtOnce} times, busy checkpoints ${counts.busyCheckpoints}, ` +
      `longest checkpoint ${counts.checkpointMsMax.toFixed(0)} ms; lost races ${counts.lostRaces}, ` +
      `write locks ${counts.writeLocks}, longest ${counts.writeLockMsMax.toFixed(0)} ms`,
  );
  console.log(
    `violations: ${tally.violations.length}${tally.violations.map(({ seed }) => ` (${seed})`).join('')}`,
  );
}

async function main(): Promise<void> {
  const options = readOptions();
  const { seed, runs, mutant } = options;
  console.log(
    `seed ${seed}, runs ${runs}${mutant === undefined ? '' : `, with the fault "${mutant}" planted`}`,
  );
  const tally = await simulate(options);
  tellSummary(tally);
  if (tally.violations.length > 0 || tally.runs < runs) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(
    'usage: npm run test:simulate -- [--seed N] [--runs M] [--jobs J] [--mutant NAME] [--keep-going]',
  );
  process.exitCode = 1;
}
