/** A planted fault: what it is, and which tests must notice it. The faults themselves are in `table.ts`. */

export interface Edit {
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** A test file, and which of its tests fail, when the others need not run. */
export interface TestCatcher {
  readonly kind: 'test';
  /** Below `test/`. */
  readonly file: string;
  /** Part of the names of the tests; without it the whole file runs. */
  readonly only?: string;
}

/** The simulator with these seeds: at least one run must violate an invariant. */
export interface SimulatorCatcher {
  readonly kind: 'simulate';
  readonly seed: number;
  readonly runs: number;
}

export type Catcher = TestCatcher | SimulatorCatcher;

export interface Mutant {
  readonly name: string;
  /** What the engine does wrong with it. */
  readonly breaks: string;
  /** Below `src/`. */
  readonly file: string;
  readonly edits: readonly Edit[];
  /** Every one of them must fail. */
  readonly caughtBy: readonly Catcher[];
}

/** Names the mutant to plant. */
export const MUTANT_VARIABLE = 'RIVULET_MUTANT';

/** The module that is changed, as Node.js names it. */
export function urlOf({ file }: Mutant): string {
  return new URL(`../../src/${file}`, import.meta.url).href;
}
