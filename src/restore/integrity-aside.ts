/**
 * SQLite's check on a thread of its own: it takes seconds for each gigabyte and is one synchronous call, during which a daemon
 * must go on shipping.
 */
import { Worker } from 'node:worker_threads';
import { type ErrorCode, RivuletError } from '../base/errors.ts';
import type { IntegrityCheck } from './options.ts';

export interface IntegrityJob {
  readonly path: string;
  readonly check: Exclude<IntegrityCheck, 'none'>;
}

export interface IntegrityReply {
  /** What could not be checked and why. */
  readonly leftOut: readonly string[];
  /** What SQLite found, or why the copy could not be read; undefined when all is well. */
  readonly problem?: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly hint: string | undefined;
  };
}

/** SQLite's own memory is not counted; the thread itself holds next to nothing. */
const HEAP_MB = 32;

/**
 * As `checkIntegrity`, beside everything else.
 *
 * @returns what could not be checked and why, one sentence each
 * @throws RivuletError `INTEGRITY` with what SQLite found, `OUTPUT_UNWRITABLE`
 */
export async function checkIntegrityAside(
  path: string,
  check: IntegrityJob['check'],
): Promise<readonly string[]> {
  const file = import.meta.url.endsWith('.ts') ? './integrity-worker.ts' : './integrity-worker.js';
  const job: IntegrityJob = { path, check };
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const { problem, leftOut } = await new Promise<IntegrityReply>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread for the integrity check ended')));
  });
  if (problem === undefined) return leftOut;
  const { code, message, hint } = problem;
  throw new RivuletError(code, message, hint === undefined ? {} : { hint });
}
