import { execFileSync } from 'node:child_process';

/** Makes a FIFO. Whoever opens it for reading hangs in that system call until somebody opens it for writing. */
export function makeFifo(path: string): string {
  execFileSync('mkfifo', [path]);
  return path;
}
