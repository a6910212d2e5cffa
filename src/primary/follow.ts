/**
 * Keeps looking at one database: at once when something stirs, a little later while it keeps stirring, and slowly
 * when it is quiet. A busy writer costs ten looks a second, whatever its number of commits.
 */
import type { Clock } from '../base/clock.ts';
import { firstOf } from '../base/first-of.ts';
import { SignalEvent } from '../base/signal-event.ts';
import { ChangeWatch } from './change-watch.ts';
import { realPathOf } from './database-file.ts';
import type { Primary } from './primary.ts';

/** Spacing of looks while each one finds something. */
const BUSY_SPACING_MS = 100;
/** Spacing of glances at the WAL index in between: an application that checkpoints may wait for this process. */
const GLANCE_MS = 20;
/** First spacing of looks after a file event that brought no commit yet; the events of one commit come together. */
const STIR_SPACING_MS = 2;
/**
 * How long a database that appears while it is waited for is left to its maker. Whoever opens a new log first recovers
 * it, and meanwhile SQLite refuses everybody else with SQLITE_BUSY_RECOVERY (sqlite.org/rescode.html#busy_recovery),
 * which an application without a busy timeout takes for a failure.
 */
const APPEARED_REST_MS = 500;
/** Share of the time that may go into looking for the end of a long transaction: a half. */
const EFFORT_FACTOR = 1;

export interface FollowOptions {
  readonly primary: Primary;
  readonly clock: Clock;
  /** Spacing of looks when nothing stirs. */
  readonly pollIntervalMs: number;
  /** A look failed; how long to wait before the next one. Called for each failure. */
  readonly onFailure: (error: unknown) => number;
  readonly onSuccess: () => void;
  readonly signal: AbortSignal;
}

export async function follow(options: FollowOptions): Promise<void> {
  const { primary, signal, pollIntervalMs } = options;
  const stirred = new SignalEvent();
  let pending = true;
  const onChange = (): void => {
    pending = true;
    stirred.fire();
  };
  const watch = new ChangeWatch({ path: realPathOf(primary.settings.path), pollIntervalMs, onChange });
  watch.start();
  try {
    while (!signal.aborted) {
      if (!pending) await nextStir(stirred, options);
      // Nothing has stirred, only time has passed: one look, and mostly that is all.
      if (!pending && !(await look(options)).found) continue;
      pending = false;
      await lookUntilQuiet(options, watch);
    }
  } finally {
    watch.stop();
  }
}

/** Resolves at the next stir, or after the poll interval: a checkpoint may be due although nothing stirs. */
async function nextStir(
  stirred: SignalEvent,
  { clock, pollIntervalMs, signal }: FollowOptions,
): Promise<void> {
  await firstOf(signal, (enough) => [stirred.wait(enough), clock.sleep(pollIntervalMs, enough)]);
}

/**
 * Looks again and again, deaf to file events in between, until two looks in a row find nothing new and no read transaction is
 * held that is to end.
 */
async function lookUntilQuiet(options: FollowOptions, watch: ChangeWatch): Promise<void> {
  const { primary, signal } = options;
  for (let found = true; found && !signal.aborted;) {
    const first = await look(options);
    watch.pause();
    await rest(options, first);
    watch.resume();
    found = (await look(options)).found || first.found || primary.isRestless;
  }
}

/** Waits until the next look is due, with a glance at the index now and then while a read transaction is held. */
async function rest({ primary, clock, signal }: FollowOptions, before: Look): Promise<void> {
  const spacingMs =
    before.retryMs === undefined && primary.isRestless ? BUSY_SPACING_MS : spacingAfter(before);
  const untilMs = clock.monotonicMs() + spacingMs;
  for (let leftMs = spacingMs; leftMs > 0 && !signal.aborted; leftMs = untilMs - clock.monotonicMs()) {
    const stepMs = primary.isRestless ? Math.min(leftMs, GLANCE_MS) : leftMs;
    await clock.sleep(stepMs, signal).catch(() => undefined);
    if (before.retryMs === undefined && primary.glance()) return;
  }
}

interface Look {
  readonly found: boolean;
  readonly elapsedMs: number;
  /** Set when the look failed: how long to wait. */
  readonly retryMs?: number;
}

function spacingAfter(look: Look): number {
  if (look.retryMs !== undefined) return look.retryMs;
  return look.found ? BUSY_SPACING_MS : Math.max(STIR_SPACING_MS, look.elapsedMs * EFFORT_FACTOR);
}

async function look({ primary, clock, onFailure, onSuccess, signal }: FollowOptions): Promise<Look> {
  if (primary.status === 'waiting' && primary.hasUnseen()) {
    await clock.sleep(APPEARED_REST_MS, signal).catch(() => undefined);
  }
  if (signal.aborted) return { found: false, elapsedMs: 0 };
  const startedMs = clock.monotonicMs();
  try {
    const found = await primary.refresh();
    onSuccess();
    return { found, elapsedMs: clock.monotonicMs() - startedMs };
  } catch (error) {
    return { found: false, elapsedMs: 0, retryMs: onFailure(error) };
  }
}
