/** What a measurement gets and gives. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Tool, Tools } from './tools.ts';

/** One line of the table. Of a value both tools show, or only of Rivulet's beside a baseline. */
export interface Line {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  /** Median of the ratios of pairs: Rivulet through Litestream, or through what `baseline` names. */
  readonly ratio: number;
  /** In words, as the project's goals have it; absent where there is none. */
  readonly target?: string;
  readonly isMet?: boolean;
}

export interface Context {
  readonly tools: Tools;
  /** Empty at the start, removed at the end. */
  readonly folder: string;
  /** Interleaved pairs: A B A B ... */
  readonly runs: number;
  /** Smaller inputs and shorter times: to see that everything works, not to compare. */
  readonly quick: boolean;
  readonly tell: (text: string) => void;
}

export interface Measurement {
  readonly name: string;
  /** What it does, for the output. */
  readonly title: string;
  run(context: Context): Promise<Line[]>;
}

export interface Pair<T> {
  readonly ours: T;
  readonly theirs: T;
}

/** A fresh folder for one run, removed with its scope. */
export class RunFolder implements Disposable {
  readonly path: string;

  constructor(parent: string, name: string) {
    this.path = join(parent, name);
    rmSync(this.path, { recursive: true, force: true });
    mkdirSync(this.path, { recursive: true });
  }

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Runs `once` for both tools, again and again, in turns; every other pair begins with the other tool. */
export async function inPairs<T>(
  context: Context,
  once: (tool: Tool, folder: RunFolder) => Promise<T>,
  show: (result: T) => string,
): Promise<Pair<T>[]> {
  const pairs: Pair<T>[] = [];
  const { ours, theirs } = context.tools;
  const runOne = async (tool: Tool): Promise<T> => {
    using folder = new RunFolder(context.folder, 'run');
    const result = await once(tool, folder);
    context.tell(`  ${pairs.length + 1}/${context.runs} ${tool.name}: ${show(result)}`);
    return result;
  };
  while (pairs.length < context.runs) {
    if (pairs.length % 2 === 0) pairs.push({ ours: await runOne(ours), theirs: await runOne(theirs) });
    else {
      const second = await runOne(theirs);
      pairs.push({ ours: await runOne(ours), theirs: second });
    }
  }
  return pairs;
}
