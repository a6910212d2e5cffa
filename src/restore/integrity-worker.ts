/** One job: check a database file, tell, end. */
import { parentPort, workerData } from 'node:worker_threads';
import { isRivuletError } from '../base/errors.ts';
import type { IntegrityJob, IntegrityReply } from './integrity-aside.ts';
import { checkIntegrity } from './integrity.ts';

function run({ path, check }: IntegrityJob): IntegrityReply {
  try {
    return { leftOut: checkIntegrity(path, check) };
  } catch (error) {
    if (!isRivuletError(error)) throw error;
    const { code, message, hint } = error;
    return { leftOut: [], problem: { code, message, hint } };
  }
}

parentPort?.postMessage(run(workerData as IntegrityJob));
