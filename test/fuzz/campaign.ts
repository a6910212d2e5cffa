/** Case after case of one target, and what came of them. */
import { performance } from 'node:perf_hooks';
import { inputOf, type Outcome, runCase, shrink } from './run-case.ts';
import type { FuzzTarget } from './target.ts';

/** A stack begins with its message, which may be the finding. */
const STACK_SHOWN_MAX = 3_000;

export interface Campaign {
  readonly target: FuzzTarget;
  readonly seed: number;
  /** The first case. */
  readonly from: number;
  readonly casesMax: number;
  readonly untilMs: number;
  /** Told before each case, so that one that never ends can be named. */
  readonly onCase?: (number: number) => void;
}

export interface Report {
  readonly target: string;
  readonly cases: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly failure: Failure | undefined;
}

export interface Failure {
  readonly number: number;
  readonly what: string;
  readonly stack: string | undefined;
  /** The shortest input that was found for it, in base64. */
  readonly input: string;
}

/** Runs until the time or the cases are over, or something is found; at least one case. */
export async function runCampaign(campaign: Campaign): Promise<Report> {
  const { target, seed, from, casesMax, untilMs } = campaign;
  const samples = await target.samples();
  const outcomes: Record<Outcome, number> = { accepted: 0, refused: 0 };
  let number = from;
  do {
    campaign.onCase?.(number);
    const input = inputOf(target, samples, seed, number);
    const outcome = await runCase(target, input);
    if (typeof outcome !== 'string') {
      const shortest = await shrink(target, input);
      const { what, stack } = await found(target, shortest, outcome);
      const failure = { number, what, stack, input: Buffer.from(shortest).toString('base64') };
      return { target: target.name, cases: number - from + 1, outcomes, failure };
    }
    outcomes[outcome]++;
    number++;
  } while (number - from < casesMax && performance.now() < untilMs);
  return { target: target.name, cases: number - from, outcomes, failure: undefined };
}

/** What the shortest input shows; it may be another finding than the first one. */
async function found<T extends object>(target: FuzzTarget, input: Uint8Array, first: T): Promise<T> {
  const outcome = await runCase(target, input);
  return typeof outcome === 'string' ? first : (outcome as T);
}

/** How to see it again. */
export function describeFailure(target: string, seed: number, failure: Failure): string {
  const command = `npm run test:fuzz -- --only ${target} --seed ${seed} --case ${failure.number}`;
  const bytes = Buffer.from(failure.input, 'base64').length;
  return [
    `${target}: ${failure.what}`,
    `  input (${bytes} bytes, base64): ${failure.input}`,
    `  again: ${command}`,
    ...(failure.stack === undefined
      ? []
      : [failure.stack.slice(0, STACK_SHOWN_MAX).replaceAll(/^/gm, '    ')]),
  ].join('\n');
}
