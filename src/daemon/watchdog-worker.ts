/**
 * The thread behind `watchdog.ts`. It shares nothing with the main thread but a few numbers, so it gets its turn whatever
 * that one waits for.
 */
import { workerData } from 'node:worker_threads';
import { createLogger } from './logging.ts';
import { SLOT, type WatchdogData } from './watchdog-data.ts';
import { type WatchdogWatch, watchMainThread } from './watchdog-rule.ts';

const LOOK_MS = 500;
/** A gap between two looks counts for so many times their distance. */
const GAP_FACTOR = 2;

async function watch({ numbers, logging }: WatchdogData): Promise<void> {
  const logger = await createLogger(logging);
  const limit = (slot: number): number | undefined => Atomics.load(numbers, slot) || undefined;
  let seen: WatchdogWatch | undefined;
  setInterval(() => {
    const endLimitMs = limit(SLOT.endLimitMs);
    const facts = {
      nowMs: performance.now(),
      beats: Atomics.load(numbers, SLOT.beats),
      hangLimitMs: limit(SLOT.hangLimitMs),
      endLimitMs,
    };
    seen = watchMainThread(seen, facts, LOOK_MS * GAP_FACTOR);
    if (!seen.isOver) return;
    logger.error('the process hangs in a system call and ends itself by SIGKILL', {
      hangsForMs: Math.round(seen.hang.stillMs),
      isStopping: endLimitMs !== undefined,
      hint: 'Look at the disk or network file system of the database and of its state directory, and at the system log. The write-ahead log was kept; the next start continues from there.',
    });
    endChild(limit(SLOT.childPid));
    process.kill(process.pid, 'SIGKILL');
  }, LOOK_MS);
}

/** The application of `-exec`, and what it started. */
function endChild(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGTERM');
  } catch {
    // It has ended.
  }
}

await watch(workerData as WatchdogData);
