/**
 * The one place that handles signals. The first SIGINT, SIGTERM or SIGHUP asks for a graceful end; a second one, of
 * any kind, ends the process at once. As PID 1 of a container this matters doubly: there the kernel delivers no
 * signal that has no handler.
 */
import { RivuletError } from '../base/errors.ts';
import { exitCodeOfSignal } from './exit-codes.ts';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

type SignalListener = (signal: NodeJS.Signals) => void;

export interface SignalWatch {
  /** Aborts at the first signal; the reason is a `CANCELLED` error. */
  readonly graceful: AbortSignal;
  /** The first signal that came, if any. */
  readonly received: NodeJS.Signals | undefined;
  /** Called at the second signal, synchronously, before the process exits: kill children here. */
  onForce(listener: SignalListener): void;
}

/** What of `process` this needs; a test brings its own. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: SignalListener): unknown;
  off(signal: NodeJS.Signals, listener: SignalListener): unknown;
  exit(code: number): unknown;
}

/** Handles signals from now on, until disposed. */
export function watchSignals(source: SignalSource = process): SignalWatch & Disposable {
  const controller = new AbortController();
  const forceListeners: SignalListener[] = [];
  let received: NodeJS.Signals | undefined;

  const handle: SignalListener = (signal) => {
    if (received === undefined) {
      received = signal;
      controller.abort(new RivuletError('CANCELLED', `stopped by ${signal}`, { details: { signal } }));
      return;
    }
    for (const listener of forceListeners) listener(signal);
    source.exit(exitCodeOfSignal(signal));
  };
  for (const signal of SIGNALS) source.on(signal, handle);

  return {
    graceful: controller.signal,
    get received() {
      return received;
    },
    onForce: (listener) => void forceListeners.push(listener),
    [Symbol.dispose]: () => {
      for (const signal of SIGNALS) source.off(signal, handle);
    },
  };
}
