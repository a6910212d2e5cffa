/**
 * Ends this process at once with a status of our choice, whatever hangs.
 *
 * `process.exit` waits for all threads: one of the pool, or a worker, that is in a system call which does not return (a
 * dead network file system, a disk that has stopped) keeps the process for as long as that takes. The kernel does end such threads when
 * the process becomes another program. So it becomes a Node.js that does nothing but exit with the status. A thread
 * in a call that the kernel itself cannot interrupt (state `D`) outlives even SIGKILL; against that no process can do anything.
 */
import { accessSync, constants } from 'node:fs';

/** The executable that runs now, also when another one, or none, has its path meanwhile. Linux only. */
const RUNNING_EXECUTABLE = '/proc/self/exe';

/** What the new program needs of the environment: where the libraries of a dynamically linked Node.js are. */
const KEPT_VARIABLES = ['LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH'] as const;

/** Listeners of `exit` run before, as for `process.exit`. */
export function endProcess(status: number): never {
  process.exitCode = status;
  process.emit('exit', status);
  const executable = [RUNNING_EXECUTABLE, process.execPath].find(isExecutable);
  if (process.execve !== undefined && executable !== undefined) {
    // Node.js does not start in a directory that was removed.
    process.chdir('/');
    process.execve(executable, [process.execPath, '-e', `process.exit(${status})`], environment());
  }
  // Windows, and a Node.js that was removed: the end is certain, the status is that of a kill.
  process.kill(process.pid, 'SIGKILL');
  // The signal may take a moment.
  for (;;);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function environment(): Record<string, string> {
  return Object.fromEntries(
    KEPT_VARIABLES.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
