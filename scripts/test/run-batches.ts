/** Runs batches, some at a time, and tells what came of them. */
import type { Batch } from './batches.ts';
import { endBatches, type Manner, type Outcome, runBatch } from './run-batch.ts';

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function show({ title, text, counts, problems, elapsedMs }: Outcome): void {
  const verdict = problems.length === 0 ? 'passed' : 'FAILED';
  if (text !== '') console.log(text);
  console.log(`= ${title} ${verdict}: ${counts.get('tests') ?? 0} tests in ${seconds(elapsedMs)}\n`);
}

function summarize(outcomes: readonly Outcome[], elapsedMs: number): void {
  const total = (name: string): number =>
    outcomes.reduce((sum, { counts }) => sum + (counts.get(name) ?? 0), 0);
  for (const { title, problems } of outcomes.filter((outcome) => outcome.problems.length > 0)) {
    console.error(`${title} FAILED\n${problems.join('\n')}\n`);
  }
  const counts = ['tests', 'pass', 'fail', 'cancelled', 'skipped'].map((name) => `${name} ${total(name)}`);
  console.log(`All together: ${counts.join(', ')} in ${seconds(elapsedMs)}`);
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
  summarize(outcomes, performance.now() - startedMs);
  if (outcomes.length === 0) console.error('No test files were found.');
  return outcomes.length > 0 && outcomes.every(({ problems }) => problems.length === 0);
}
