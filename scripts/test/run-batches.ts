/** Runs batches, some at a time, and tells what came of them. */
import { spec as SpecReporter } from 'node:test/reporters';
import type { Batch } from './batches.ts';
import { COUNT_NAMES, endBatches, type Manner, type Outcome, runBatch } from './run-batch.ts';

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function show({ title, text, counts, problems, elapsedMs }: Outcome): void {
  const verdict = problems.length === 0 ? 'passed' : 'FAILED';
  if (text !== '') console.log(text);
  console.log(`= ${title} ${verdict}: ${counts.get('tests') ?? 0} tests in ${seconds(elapsedMs)}\n`);
}

/** What is wrong with a batch although none of its tests failed counts as one more test, as a crashed file does in Node.js. */
function countsOf({ counts, problems }: Outcome): ReadonlyMap<string, number> {
  const count = (name: string): number => counts.get(name) ?? 0;
  if (problems.length === 0 || count('fail') + count('cancelled') > 0) return counts;
  return new Map([...counts, ['tests', count('tests') + 1], ['fail', 1]]);
}

function tellProblems(outcomes: readonly Outcome[]): void {
  for (const { title, problems } of outcomes.filter((outcome) => outcome.problems.length > 0)) {
    console.error(`${title} FAILED\n${problems.join('\n')}\n`);
  }
}

/** The last lines of a run are those with which the reporter of Node.js ends, for all batches together. */
function summarize(outcomes: readonly Outcome[], elapsedMs: number): void {
  const all = outcomes.map(countsOf);
  const total = (name: string): number => all.reduce((sum, counts) => sum + (counts.get(name) ?? 0), 0);
  const messages = [...COUNT_NAMES.map((name) => `${name} ${total(name)}`), `duration_ms ${elapsedMs}`];
  const reporter = new SpecReporter();
  for (const message of messages)
    reporter.write({ type: 'test:diagnostic', data: { nesting: 0, message, level: 'info' } });
  reporter.end();
  process.stdout.write(String(reporter.read() ?? ''));
}

/** Ctrl-C ends what runs. */
function endWithSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      endBatches();
      process.exit(1);
    });
  }
}

/** @returns whether all of them passed, and there was one */
export async function runBatches(batches: readonly Batch[], manner: Manner, jobs: number): Promise<boolean> {
  const startedMs = performance.now();
  endWithSignals();
  const outcomes: Outcome[] = [];
  const rest = batches.values();
  const work = async (): Promise<void> => {
    for (const batch of rest) {
      const outcome = await runBatch(batch, manner);
      show(outcome);
      outcomes.push(outcome);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  tellProblems(outcomes);
  if (outcomes.length === 0) console.error('No test files were found.');
  summarize(outcomes, performance.now() - startedMs);
  return outcomes.length > 0 && outcomes.every(({ problems }) => problems.length === 0);
}
