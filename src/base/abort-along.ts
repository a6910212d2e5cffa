/**
 * Aborts `controller` when `signal` aborts, for its reason. Once `controller` has aborted, `signal` holds nothing of it any more.
 *
 * Not `addEventListener('abort', …, { signal: controller.signal })`: Node.js 24 remembers that weakly, and for one listener of
 * each target only. All others stay on a signal that lives long, with everything that they refer to.
 */
export function abortAlong(signal: AbortSignal, controller: AbortController): void {
  if (signal.aborted) {
    controller.abort(signal.reason);
    return;
  }
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  controller.signal.addEventListener('abort', () => signal.removeEventListener('abort', onAbort), {
    once: true,
  });
}
