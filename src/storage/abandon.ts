/** How long an aborted call may take to clean up after itself before it is left alone: a hung mount never answers. */
const CLEANUP_GRACE_MS = 1_000;

/**
 * Waits for `work`, which looks at `signal` between its steps. When the signal aborts, `work` gets a moment to stop
 * and clean up; if it hangs in a system call, this rejects with the signal's reason and leaves it behind.
 */
export async function orAbandon<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const abandoned = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => abandoned.reject(signal.reason), CLEANUP_GRACE_MS);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, abandoned.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }
}

/** Waits for `work`, or rejects with the signal's reason as soon as it aborts. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
