/** The front of `checkpoint-worker.ts`: one thread for the whole process, started when first needed. */
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type CheckpointJob, type CheckpointReply, OUTCOMES } from './checkpoint-job.ts';

/** The thread holds one small connection at a time. */
const HEAP_MB = 32;
/** Another database's checkpoint may be running there. */
const FREE_WAIT_MS = 500;

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
  return (await send({ id: ++lastId, path })).busy === true;
}

async function send(job: CheckpointJob): Promise<CheckpointReply> {
  worker ??= start();
  const done = new Promise<CheckpointReply>((resolve) => waiting.set(job.id, resolve));
  worker.ref();
  worker.postMessage(job);
  return done;
}

/** Whether the thread runs and has nothing to do. Waits a little for it. */
export async function isCheckpointerFree(): Promise<boolean> {
  const free = send({ id: ++lastId, path: undefined }).then(({ error }) => error === undefined);
  const late = new AbortController();
  const isFree = await Promise.race([
    free,
    delay(FREE_WAIT_MS, false, { signal: late.signal }).catch(() => false),
  ]);
  late.abort();
  return isFree && waiting.size === 0;
}

export type CheckpointWithin =
  /** As much as nobody's read transaction forbids is in the database file. */
  | 'done'
  /** Another checkpoint was running, so that nothing was done. */
  | 'busy'
  /** It goes on in the background. */
  | 'late';

/** Checkpoints on the thread while this one stands still, for `ms` milliseconds at most. The thread should be free. */
export function checkpointWithin(path: string, ms: number): CheckpointWithin {
  const outcome = new Int32Array(new SharedArrayBuffer(4));
  send({ id: ++lastId, path, outcome }).catch(() => undefined);
  Atomics.wait(outcome, 0, OUTCOMES.pending, Math.max(0, ms));
  const ended = Atomics.load(outcome, 0);
  if (ended === OUTCOMES.pending) return 'late';
  return ended === OUTCOMES.busy ? 'busy' : 'done';
}
