/** The processes of the demo. None outlives it, whatever happens. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const running = new Set<ChildProcess>();
/** After a gentle signal a process has this long to end. */
const PATIENCE_MS = 10_000;

// Also after an error that nobody caught.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Remembers a child, so that `endAll` ends it. */
export function track<Child extends ChildProcess>(child: Child): Child {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Resolves with the exit code, or with the signal that ended the process. */
export async function ended(child: ChildProcess): Promise<number | NodeJS.Signals> {
  if (child.exitCode !== null) return child.exitCode;
  if (child.signalCode !== null) return child.signalCode;
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 1));
  });
}

/** Sends `signal` and waits; a process that does not end in time is killed. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
  const over = ended(child);
  child.kill(signal);
  const late = new AbortController();
  void sleep(PATIENCE_MS, undefined, { signal: late.signal }).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  );
  try {
    return await over;
  } finally {
    late.abort();
  }
}

export async function endAll(): Promise<void> {
  await Promise.all([...running].map(async (child) => end(child, 'SIGKILL')));
}
