/** Processes that tests started and left behind. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Every process that a batch starts inherits it, with a value of the batch's own. */
export const MARK = 'RIVULET_TEST_BATCH';
/** So long a process may take to be gone after the one that ended it. */
const GRACE_MS = 10_000;
const STEP_MS = 20;

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // It is gone.
  }
}

/** Those that carry the mark now. Known on Linux only. */
function alive(mark: string): Leftover[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(`${MARK}=${mark}`))
    .map((pid) => ({
      pid: Number(pid),
      command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim(),
    }));
}

/** Ends what lives of a batch. @returns what it was */
export function endAll(mark: string): Leftover[] {
  const left = alive(mark);
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  return left;
}

/** What is still there some time after the batch has ended; it is ended now. */
export async function leftovers(mark: string): Promise<Leftover[]> {
  const giveUpAtMs = performance.now() + GRACE_MS;
  while (alive(mark).length > 0 && performance.now() < giveUpAtMs) await sleep(STEP_MS);
  return endAll(mark);
}
