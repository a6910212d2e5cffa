/** Never seen by anybody: `firstOf` looks at the outcome of none of the waits that it ends. */
const ENOUGH = new Error('another wait was over first');

/**
 * Waits for whichever comes first, and takes the other waits back, so that none stays behind with its timer or
 * listener. Failures count as coming first, and are not thrown; neither is the abort of `signal`.
 *
 * @param start - begins the waits; each must end when the signal that it is given aborts
 */
export async function firstOf(
  signal: AbortSignal | undefined,
  start: (signal: AbortSignal) => readonly Promise<unknown>[],
): Promise<void> {
  const enough = new AbortController();
  const onAbort = (): void => enough.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const waits = start(enough.signal);
  await Promise.race(waits.map((wait) => wait.catch(() => undefined)));
  signal?.removeEventListener('abort', onAbort);
  // Without a reason each abort would make an exception with a stack.
  enough.abort(ENOUGH);
  await Promise.allSettled(waits);
}
