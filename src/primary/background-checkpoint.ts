/** The front of `checkpoint-worker.ts`: one thread for the whole process, started when first needed. */
import { Worker } from 'node:worker_threads';
import type { CheckpointJob, CheckpointReply } from './checkpoint-worker.ts';

/** The thread holds one small connection at a time. */
const HEAP_MB = 32;

let worker: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, (reply: CheckpointReply) => void>();

function start(): Worker {
  const file = import.meta.url.endsWith('.ts') ? './checkpoint-worker.ts' : './checkpoint-worker.js';
  const started = new Worker(new URL(file, import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  started.on('message', (reply: CheckpointReply) => {
    waiting.get(reply.id)?.(reply);
    waiting.delete(reply.id);
    if (waiting.size === 0) started.unref();
  });
  started.on('error', () => undefined);
  started.on('exit', () => {
    worker = undefined;
    for (const [id, resolve] of waiting) resolve({ id, error: 'the checkpoint thread ended' });
    waiting.clear();
  });
  return started;
}

/**
 * Checkpoints as much as nobody's read transaction forbids. Resolves also when nothing could be done: what is left
 * is found by the checkpoint that follows under the write lock. The caller keeps its own connections open meanwhile,
 * so that this one is never the last to close.
 *
 * @returns whether another checkpoint was running, so that nothing was done
 */
export async function checkpointInBackground(path: string): Promise<boolean> {
  worker ??= start();
  const job: CheckpointJob = { id: ++lastId, path };
  const done = new Promise<CheckpointReply>((resolve) => waiting.set(job.id, resolve));
  worker.ref();
  worker.postMessage(job);
  return (await done).busy === true;
}
