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
  enough.abort();
  await Promise.allSettled(waits);
}
