/** The parts of an upload, several under way at once. */
import { untilAborted } from './until-aborted.ts';

/**
 * Sends each part as it comes, at most `atOnce` at a time. When one fails, or the body does, the others are stopped.
 *
 * @param send - sends one; the index counts from 0
 * @throws what `send` or the parts throw first, when nothing is under way any more; the signal's reason
 */
export async function sendParts(
  parts: AsyncIterable<Uint8Array>,
  atOnce: number,
  send: (part: Uint8Array, index: number, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const sending = new Set<Promise<void>>();
  let index = 0;
  try {
    for await (const part of untilAborted(parts, either)) {
      while (sending.size >= atOnce) await Promise.race(sending);
      either.throwIfAborted();
      const one: Promise<void> = send(part, index++, either)
        .catch((error: unknown) => stop.abort(error))
        .finally(() => sending.delete(one));
      sending.add(one);
    }
    await Promise.all(sending);
    either.throwIfAborted();
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    await Promise.all(sending);
  }
}
