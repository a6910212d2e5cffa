/**
 * The one place that handles signals. The first SIGINT, SIGTERM or SIGHUP asks for a graceful end; a second one, of
 * any kind, ends the process at once. Where somebody waits for it, SIGHUP asks to reload instead. As PID 1 of a
 * container this matters doubly: there the kernel delivers no signal that has no handler.
 */
import { isatty } from 'node:tty';

import { endProcess } from '../base/end-process.ts';
import { RivuletError } from '../base/errors.ts';
import { exitCodeOfSignal } from './exit-codes.ts';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

type SignalListener = (signal: NodeJS.Signals) => void;

export interface SignalWatch {
  /** Aborts at the first signal; the reason is a `CANCELLED` error. */
  readonly graceful: AbortSignal;
  /** The first signal that came, if any. */
  readonly received: NodeJS.Signals | undefined;
  /**
   * From now on SIGHUP calls this instead of asking for an end, until an end has been asked for. A SIGHUP because the
   * terminal that this process was started from is gone still asks for an end, as does any on Windows.
   */
  onReload(listener: () => void): void;
  /**
   * Until disposed, a signal ends the process as if nobody handled it: at once, even while one piece of work blocks
   * everything else. For stretches in which there is nothing to end gracefully, such as reading the configuration.
   * PID 1 keeps its handlers, since the kernel delivers nothing to it without them.
   */
  unhandled(): Disposable;
  /** Called at the second signal, synchronously, before the process exits: kill children here. */
  onForce(listener: SignalListener): void;
}

/** What of `process` this needs; a test brings its own. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: SignalListener): unknown;
  off(signal: NodeJS.Signals, listener: SignalListener): unknown;
  exit(code: number): unknown;
  readonly pid: number;
}

export interface SignalOptions {
  /** Whether this process still has the terminal that it had at the start; true when it never had one. */
  readonly hasTerminal?: () => boolean;
  readonly platform?: NodeJS.Platform;
}

/** A second signal ends the process also when a thread hangs. */
const thisProcess: SignalSource = {
  on: (signal, listener) => process.on(signal, listener),
  off: (signal, listener) => process.off(signal, listener),
  exit: endProcess,
  pid: process.pid,
};

const STANDARD_DESCRIPTORS = [0, 1, 2];

/** A terminal that has hung up is one no more. */
function terminalWatch(): () => boolean {
  const terminals = STANDARD_DESCRIPTORS.filter((descriptor) => isatty(descriptor));
  return () => terminals.every((descriptor) => isatty(descriptor));
}

/** Handles signals from now on, until disposed. */
export function watchSignals(
  source: SignalSource = thisProcess,
  { hasTerminal = terminalWatch(), platform = process.platform }: SignalOptions = {},
): SignalWatch & Disposable {
  let reload: (() => void) | undefined;
  const controller = new AbortController();
  const forceListeners: SignalListener[] = [];
  let received: NodeJS.Signals | undefined;

  const handle: SignalListener = (signal) => {
    const asksToReload = signal === 'SIGHUP' && platform !== 'win32' && hasTerminal();
    if (received === undefined && reload !== undefined && asksToReload) {
      reload();
      return;
    }
    if (received === undefined) {
      received = signal;
      controller.abort(new RivuletError('CANCELLED', `stopped by ${signal}`, { details: { signal } }));
      return;
    }
    for (const listener of forceListeners) listener(signal);
    source.exit(exitCodeOfSignal(signal));
  };
  const listen = (): void => {
    for (const signal of SIGNALS) source.on(signal, handle);
  };
  const leave = (): void => {
    for (const signal of SIGNALS) source.off(signal, handle);
  };
  listen();

  return {
    graceful: controller.signal,
    get received() {
      return received;
    },
    onReload: (listener) => {
      reload = listener;
    },
    onForce: (listener) => void forceListeners.push(listener),
    unhandled: () => {
      // One that came before is on its way already.
      if (source.pid === 1 || received !== undefined) return { [Symbol.dispose]: () => undefined };
      leave();
      return { [Symbol.dispose]: listen };
    },
    [Symbol.dispose]: leave,
  };
}
