import { orAbort } from './abandon.ts';

/** `body`, ended by the signal's reason even while it has nothing to give. Its own errors pass through unchanged. */
export async function* untilAborted(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = body[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = await orAbort(iterator.next(), signal);
      isDone = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a body that hangs would never answer.
    if (!isDone) void closeQuietly(iterator);
  }
}

async function closeQuietly(iterator: AsyncIterator<Uint8Array>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // Whatever ended the writing is what is reported.
  }
}
