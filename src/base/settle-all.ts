/**
 * Waits for every piece of work, also when one fails, so that nothing goes on behind the caller's back.
 *
 * @throws what the first failed one, in the order given, was rejected with
 */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
