/**
 * Feeds every reader of bytes from a disk or a network with inputs that are not quite in order:
 * `node scripts/fuzz.ts [--seed N] [--seconds S] [--only NAME] [--case I]`. The seconds are shared by the targets; NAME is
 * a target or the beginning of its name; `--case` runs that one case of the seed alone.
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describeFailure, type Failure, type Report } from '../test/fuzz/campaign.ts';
import { targetsNamed } from '../test/fuzz/targets.ts';
import type { WorkerOrder } from '../test/fuzz/worker.ts';

const DEFAULT_SECONDS = 30;
const SEED_LIMIT = 1_000_000;
/** A case that does not end within this time never ends. */
const HANG_MS = 30_000;
const LOOK_MS = 500;
/** Of a thread's heap of values; memory for bytes is counted by the cases themselves. */
const HEAP_MB_MAX = 512;

interface Options {
  readonly seed: number;
  readonly seconds: number;
  readonly only: string | undefined;
  readonly number: number | undefined;
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`--${name} is ${text}; expected a whole number`);
}

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { seed: text, seconds: text, only: text, case: text } });
  const { seed, seconds, only, case: number } = values;
  return {
    seed: seed === undefined ? Math.floor(Math.random() * SEED_LIMIT) : wholeNumber('seed', seed),
    seconds: seconds === undefined ? DEFAULT_SECONDS : wholeNumber('seconds', seconds),
    only,
    number: number === undefined ? undefined : wholeNumber('case', number),
  };
}

/** @returns the report, or a failure when the thread hangs or dies */
async function runInThread(order: WorkerOrder): Promise<Report> {
  const present = new Int32Array(order.progress);
  const worker = new Worker(new URL('../test/fuzz/worker.ts', import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  });
  const failed = (what: string): Report => ({
    target: order.target,
    cases: Atomics.load(present, 1),
    outcomes: { accepted: 0, refused: 0 },
    failure: { number: Atomics.load(present, 0), what, stack: undefined, input: '' },
  });
  const watch = Promise.withResolvers<Report>();
  let begun = -1;
  let sinceMs = performance.now();
  const timer = setInterval(() => {
    const now = Atomics.load(present, 1);
    if (now !== begun) [begun, sinceMs] = [now, performance.now()];
    // Before the first case, modules are loaded and samples made.
    else if (now > 0 && performance.now() - sinceMs > HANG_MS)
      watch.resolve(failed(`it does not end within ${HANG_MS / 1000} s`));
  }, LOOK_MS);
  worker.once('message', (report: Report) => watch.resolve(report));
  worker.once('error', (error) => watch.resolve(failed(`the thread died: ${String(error)}`)));
  try {
    return await watch.promise;
  } finally {
    clearInterval(timer);
    await worker.terminate();
  }
}

function show(seed: number, { target, cases, outcomes, failure }: Report, elapsedMs: number): void {
  const { accepted, refused } = outcomes;
  const rate = Math.round((cases * 1_000) / elapsedMs);
  console.log(
    `${failure === undefined ? 'ok  ' : 'FAIL'} ${target.padEnd(30)} ${String(cases).padStart(8)} cases, ` +
      `${accepted} accepted, ${refused} refused, ${rate}/s`,
  );
  if (failure !== undefined) console.error(describeFailure(target, seed, failure));
}

async function run({ seed, seconds, only, number }: Options): Promise<Failure[]> {
  const targets = targetsNamed(only);
  if (targets.length === 0) throw new Error(`--only is ${only}; there is no such target`);
  console.log(`seed ${seed}`);
  const failures: Failure[] = [];
  for (const { name } of targets) {
    const startedMs = performance.now();
    const report = await runInThread({
      target: name,
      seed,
      from: number ?? 0,
      casesMax: number === undefined ? Number.MAX_SAFE_INTEGER : 1,
      milliseconds: (seconds * 1_000) / targets.length,
      progress: new SharedArrayBuffer(8),
    });
    show(seed, report, performance.now() - startedMs);
    if (report.failure !== undefined) failures.push(report.failure);
  }
  return failures;
}

try {
  const failures = await run(readOptions());
  if (failures.length > 0) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error('usage: npm run test:fuzz -- [--seed N] [--seconds S] [--only NAME] [--case I]');
  process.exitCode = 1;
}
