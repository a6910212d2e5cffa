/** A thread that fuzzes: whoever started it can end it, also when a reader never comes back. */
import { parentPort, workerData } from 'node:worker_threads';
import { runCampaign } from './campaign.ts';
import { targetsNamed } from './targets.ts';

export interface WorkerOrder {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly casesMax: number;
  readonly milliseconds: number;
  /** Two numbers: the present case, and how many have begun. */
  readonly progress: SharedArrayBuffer;
}

const { target: name, seed, from, casesMax, milliseconds, progress } = workerData as WorkerOrder;
const [target] = targetsNamed(name).filter((candidate) => candidate.name === name);
if (target === undefined) throw new Error(`there is no target ${name}`);
const present = new Int32Array(progress);
const report = await runCampaign({
  target,
  seed,
  from,
  casesMax,
  untilMs: performance.now() + milliseconds,
  onCase: (number) => {
    Atomics.store(present, 0, number);
    Atomics.add(present, 1, 1);
  },
});
parentPort?.postMessage(report);
