/** What happens to two writers, and when: made from a seed alone. */
import { Random } from '../../faults/random.ts';

export type WriterName = 'a' | 'b';

export type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'start' | 'freeze' | 'thaw' | 'kill' | 'finish'; readonly writer: WriterName }
  | { readonly kind: 'pace'; readonly writer: WriterName; readonly ms: number };

export interface Schedule {
  readonly seed: number;
  readonly durationMs: number;
  readonly renew: 'active' | 'always';
  readonly slowMs: number;
  readonly steps: readonly Step[];
}

const DURATION_MS = { least: 300, most: 500 };
const STEPS = { least: 6, most: 12 };

/** What may happen next to a writer in this state. */
type State = 'none' | 'running' | 'frozen';

function choicesFor(state: State): Readonly<Record<string, number>> {
  if (state === 'none') return { start: 5, wait: 2 };
  if (state === 'frozen') return { thaw: 4, wait: 4, kill: 0.5 };
  return { freeze: 5, wait: 3, pace: 2, finish: 1, kill: 1.5 };
}

export function makeSchedule(seed: number): Schedule {
  const random = new Random(seed);
  const durationMs = random.int(DURATION_MS.least, DURATION_MS.most);
  const states: Record<WriterName, State> = { a: 'running', b: 'none' };
  const steps: Step[] = [
    { kind: 'start', writer: 'a' },
    { kind: 'wait', ms: random.int(50, 300) },
    { kind: 'start', writer: 'b' },
  ];
  states.b = 'running';
  for (let left = random.int(STEPS.least, STEPS.most); left > 0; left--) {
    steps.push({ kind: 'wait', ms: random.int(5, 150) });
    const writer = random.pick(['a', 'b'] as const);
    const kind = random.weighted(choicesFor(states[writer]));
    if (kind === 'wait') steps.push({ kind, ms: random.int(durationMs / 2, durationMs * 2.5) });
    else if (kind === 'pace') steps.push({ kind, writer, ms: random.pick([0, 0, 5, 20, 60]) });
    else {
      steps.push({ kind: kind as 'start', writer });
      // A freeze that nobody waits for would not be noticed.
      if (kind === 'freeze' && random.chance(0.6)) {
        steps.push({ kind: 'wait', ms: random.int(durationMs, durationMs * 3) });
      }
      states[writer] =
        kind === 'freeze' ? 'frozen' : kind === 'thaw' || kind === 'start' ? 'running' : 'none';
    }
  }
  return {
    seed,
    durationMs,
    renew: random.pick(['active', 'always']),
    slowMs: random.pick([0, 20, 150]),
    steps,
  };
}
