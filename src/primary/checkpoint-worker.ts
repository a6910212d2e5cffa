/**
 * Runs long PASSIVE checkpoints on a thread of its own: SQLite's calls are synchronous, and copying a large log
 * into a database must not hold up shipping or other databases. One job: open, checkpoint, close.
 */
import { parentPort } from 'node:worker_threads';
import { openAnySchema } from './any-schema.ts';
import { type CheckpointJob, type CheckpointReply, OUTCOMES } from './checkpoint-job.ts';

function checkpoint(path: string): boolean {
  const connection = openAnySchema(path, { timeout: 0 });
  try {
    connection.exec('PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-100');
    const row = connection.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
    return Number(row?.['busy'] ?? 0) !== 0;
  } finally {
    connection.close();
  }
}

parentPort?.on('message', ({ id, path, outcome }: CheckpointJob) => {
  let reply: CheckpointReply = { id };
  try {
    if (path !== undefined) reply = { id, busy: checkpoint(path) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? error.message : String(error) };
  }
  if (outcome !== undefined) {
    Atomics.store(outcome, 0, reply.busy === true ? OUTCOMES.busy : OUTCOMES.done);
    Atomics.notify(outcome, 0);
  }
  parentPort?.postMessage(reply);
});
