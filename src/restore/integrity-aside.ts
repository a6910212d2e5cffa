/**
 * SQLite's check on a thread of its own: it takes seconds for each gigabyte and is one synchronous call, during which a daemon
 * must go on shipping.
 */
import { Worker } from 'node:worker_threads';
import { RivuletError } from '../base/errors.ts';
import type { IntegrityCheck } from './options.ts';

export interface IntegrityJob {
  readonly path: string;
  readonly check: Exclude<IntegrityCheck, 'none'>;
}

export interface IntegrityReply {
  /** What SQLite found; undefined when all is well. */
  readonly problem?: { readonly message: string; readonly hint: string | undefined };
}

/** SQLite's own memory is not counted; the thread itself holds next to nothing. */
const HEAP_MB = 32;

/**
 * As `checkIntegrity`, beside everything else.
 *
 * @throws RivuletError `INTEGRITY` with what SQLite found
 */
export async function checkIntegrityAside(path: string, check: IntegrityJob['check']): Promise<void> {
  const file = import.meta.url.endsWith('.ts') ? './integrity-worker.ts' : './integrity-worker.js';
  const job: IntegrityJob = { path, check };
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const { problem } = await new Promise<IntegrityReply>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread for the integrity check ended')));
  });
  if (problem === undefined) return;
  const { message, hint } = problem;
  throw new RivuletError('INTEGRITY', message, hint === undefined ? {} : { hint });
}
