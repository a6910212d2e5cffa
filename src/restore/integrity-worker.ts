/** One job: check a database file, tell, end. */
import { parentPort, workerData } from 'node:worker_threads';
import { isRivuletError } from '../base/errors.ts';
import type { IntegrityJob, IntegrityReply } from './integrity-aside.ts';
import { checkIntegrity } from './integrity.ts';

function run({ path, check }: IntegrityJob): IntegrityReply {
  try {
    checkIntegrity(path, check);
    return {};
  } catch (error) {
    if (!isRivuletError(error, 'INTEGRITY')) throw error;
    return { problem: { message: error.message, hint: error.hint } };
  }
}

parentPort?.postMessage(run(workerData as IntegrityJob));
