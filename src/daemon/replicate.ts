/** The life of `replicate`: start, run the application beside it if asked to, stop when told, tell the truth at the end. */
import { abortAfter } from '../base/abort-after.ts';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, messageOf, RivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Config } from '../config/settings.ts';
import { finalSyncHint } from '../replica/final-sync-hint.ts';
import { exitCodeOfChild, type SupervisedChild, superviseChild } from './child.ts';
import { Daemon } from './daemon.ts';
import { assertEncryption } from './encryption.ts';
import { planExec } from './exec-command.ts';
import { Watchdog } from './watchdog.ts';
import { Reloader, type ReloadSource } from './reloader.ts';
import type { Refusal } from './replica-runner.ts';

/** What a pipeline takes to end after its last command. */
const GRACE_MS = 200;
const NEVER = new AbortController().signal;
/** The application has ended. */
const NO_CHILD = 0;

export interface ReplicateOptions {
  readonly config: Config;
  /** Ship what is there and end. */
  readonly once: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly signals: {
    /** Aborts at the first signal. */
    readonly graceful: AbortSignal;
    readonly received: NodeJS.Signals | undefined;
    /** Called before the process ends at a second signal. */
    onForce(listener: (signal: NodeJS.Signals) => void): void;
    /** Called when the configuration is to be loaded anew. */
    onReload(listener: () => void): void;
  };
  /** Where another configuration comes from; without it there is no reloading. */
  readonly reload?: ReloadSource;
}

export interface ReplicateOutcome {
  /** Exit code of the application, when there was one. */
  readonly childCode: number | undefined;
  /** Destinations that did not get everything. */
  readonly unfinished: number;
  /** A destination must not be written to, which ended everything: `on-auth-failure`, or the lease's `when-held`. */
  readonly refusal?: Refusal;
  /** Something did not let go, so that the process does not end by itself. */
  readonly isHung?: true;
}

/**
 * Runs until a signal, the end of the application, or, with `once`, until everything is shipped.
 *
 * @throws RivuletError when nothing can be replicated at all, or the application cannot be started
 */
export async function runReplicate(options: ReplicateOptions): Promise<ReplicateOutcome> {
  const { config, logger, clock } = options;
  await assertEncryption(config);
  if (config.databases.length === 0) {
    throw new RivuletError('CONFIG_INVALID', 'the configuration names no database to replicate', {
      hint: 'List databases under "dbs", or write: rivulet replicate DB_PATH REPLICA_URL',
    });
  }
  if (config.exec !== undefined) planExec(config.exec);
  let refusal: Refusal | undefined;
  const refused = new AbortController();
  const onRefused = (first: Refusal): void => {
    refusal ??= first;
    refused.abort(first.error);
  };
  using watchdog = new Watchdog(config.logging, logger);
  const daemon = new Daemon(config, { clock, logger, onRefused, watchdog });
  const toEnd = AbortSignal.any([options.signals.graceful, refused.signal]);
  let childCode: number | undefined;
  let unfinished = 0;
  if (options.once) {
    unfinished = await runOnce(daemon, toEnd, () => isRivuletError(refusal?.error, 'STALLED'));
    if (refusal !== undefined) tellOfRefusal(logger, refusal);
  } else {
    const beginReloads = reloadOnRequest(daemon, options);
    await start(daemon, options, toEnd);
    try {
      beginReloads();
      if (config.exec === undefined || toEnd.aborted) await aborted(toEnd);
      else childCode = await runChild(config.exec, { ...options, watchdog }, refused.signal);
    } finally {
      if (refusal !== undefined) tellOfRefusal(logger, refusal);
      logger.info('stopping', { signal: options.signals.received });
      unfinished = await daemon.stop();
    }
  }
  return {
    childCode,
    unfinished,
    ...(refusal === undefined ? {} : { refusal }),
    ...(daemon.isHung ? { isHung: true } : {}),
  };
}

/**
 * From now on a request to reload is none to end; one that comes while databases are still being opened is kept.
 *
 * @returns what to call when the daemon has started
 */
function reloadOnRequest(daemon: Daemon, { reload, signals, logger }: ReplicateOptions): () => void {
  if (reload === undefined) return () => undefined;
  const reloader = new Reloader(daemon, reload, logger);
  let hasStarted = false;
  let isAsked = false;
  signals.onReload(() => {
    if (hasStarted) reloader.request();
    else isAsked = true;
  });
  return () => {
    hasStarted = true;
    if (isAsked) reloader.request();
  };
}

function tellOfRefusal(logger: Logger, { db, replica, error }: Refusal): void {
  const why = isRivuletError(error, 'LEASE_HELD', 'LEASE_LOST')
    ? 'another process writes to this replica; ending, as `when-held` says'
    : isRivuletError(error, 'STALLED')
      ? 'something stands still; ending, as `on-stall` says'
      : isRivuletError(error, 'CONFIG_INVALID')
        ? 'a replica cannot be written to as it is configured; ending'
        : 'a destination refuses its credentials; ending, as `on-auth-failure` says';
  logger.error(why, {
    hint: error.hint ?? 'Remove the cause, then start again: it goes on where it was.',
    db,
    replica,
    error,
  });
}

/** Starts it. One that hangs, and is to end meanwhile, has no longer for it than for the end. @throws as `Daemon.start` does */
async function start(daemon: Daemon, { clock, config }: ReplicateOptions, toEnd: AbortSignal): Promise<void> {
  const done = new AbortController();
  const starting = daemon.start();
  starting.catch(() => undefined);
  const late = aborted(AbortSignal.any([toEnd, done.signal]))
    .then(async () => clock.sleep(config.shutdownTimeoutMs, done.signal))
    .catch(() => undefined);
  try {
    await Promise.race([starting, late]);
  } finally {
    done.abort();
  }
}

/**
 * @param isOutcome - whether what ended it is an outcome of its own, and no failure
 * @returns how many destinations did not get everything
 */
async function runOnce(daemon: Daemon, toEnd: AbortSignal, isOutcome: () => boolean): Promise<number> {
  let failure: unknown;
  const done = new AbortController();
  // What hangs does not hear of the end.
  const ended = aborted(AbortSignal.any([toEnd, done.signal])).then(() => toEnd.throwIfAborted());
  try {
    await Promise.race([daemon.once(toEnd), ended]);
  } catch (error) {
    failure = error;
  } finally {
    done.abort();
  }
  const unfinished = await daemon.stop();
  if (failure !== undefined && !isOutcome()) throw unfinished === 0 ? failure : notStored(failure);
  return unfinished;
}

function notStored(cause: unknown): RivuletError {
  return new RivuletError('FINAL_SYNC_FAILED', `not everything was stored: ${messageOf(cause)}`, {
    cause,
    hint: finalSyncHint(cause),
  });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  // A pending promise keeps no process alive; databases that only wait for files would let it end.
  const alive = setInterval(() => undefined, 0x7fffffff);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  clearInterval(alive);
}

async function runChild(
  command: string,
  options: ReplicateOptions & { readonly watchdog: Watchdog },
  refused: AbortSignal,
): Promise<number> {
  const { signals, logger, watchdog } = options;
  const child: SupervisedChild = await superviseChild(command, { logger });
  watchdog.endsToo(child.pid);
  signals.onForce(() => child.kill('SIGKILL'));
  signals.graceful.addEventListener('abort', () => child.kill(signals.received ?? 'SIGTERM'), { once: true });
  if (signals.graceful.aborted) child.kill(signals.received ?? 'SIGTERM');
  refused.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  if (refused.aborted) child.kill('SIGTERM');
  const exit = await child.exited;
  const code = exitCodeOfChild(exit);
  logger.info('the application ended', { code, signal: exit.signal });
  await waitForRest(child, options, signals.graceful.aborted || refused.aborted);
  watchdog.endsToo(NO_CHILD);
  return code;
}

/**
 * The command may be a wrapper, such as `npm start` or a shell, that ends at once of a signal while the application behind it is still
 * finishing its work: what that one commits last is stored, too.
 *
 * @param wasTold - whether the group got a signal. It takes as long as it takes then. Where the command ended by itself, what it has left
 *   behind is told to end, and must not keep this process for good.
 */
async function waitForRest(
  child: SupervisedChild,
  { clock, logger, config }: ReplicateOptions,
  wasTold: boolean,
): Promise<void> {
  const waitMs = async (ms: number): Promise<boolean> =>
    abortAfter(clock, ms, async (late) => child.groupEnded(clock, late));
  if (await waitMs(GRACE_MS)) return;
  if (wasTold) {
    logger.info('the command of `exec` has ended; waiting for what it started');
    await child.groupEnded(clock, NEVER);
    return;
  }
  logger.warn('the command of `exec` has ended, and something that it started has not: that gets SIGTERM');
  child.kill('SIGTERM');
  if (await waitMs(config.shutdownTimeoutMs)) return;
  logger.warn('what the command of `exec` started goes on; its last changes are sent at the next start');
}
