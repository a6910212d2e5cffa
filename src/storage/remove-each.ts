/**
 * Removes objects one by one, some at a time: for places that have no other way, or one that not every identity may
 * use. Tries them all.
 *
 * @throws the first failure, when nothing is under way any more; the signal's reason
 */
export async function removeEach(
  keys: readonly string[],
  atOnce: number,
  remove: (key: string) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < keys.length) {
      signal?.throwIfAborted();
      await remove(keys[next++]!).catch((error: unknown) => failures.push(error));
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: Math.min(atOnce, keys.length) }, work));
  signal?.throwIfAborted();
  if (failures.length > 0) throw failures[0];
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
}
