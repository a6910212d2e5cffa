/** A streamed body cut into the parts that an upload in parts sends. */
import { untilAborted } from './until-aborted.ts';

/**
 * The body in parts, each of the size asked for, the last one shorter unless the body ends with it. An empty body has no part.
 * A part has memory of its own. When the reader stops, or the signal aborts, the body is told to end.
 *
 * @param sizeOf - bytes of the part with that index, from 0
 * @throws what the body throws, unchanged; the signal's reason, also while the body has nothing to give
 */
export async function* bodyParts(
  body: AsyncIterable<Uint8Array>,
  sizeOf: (index: number) => number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const gathering = new Gathering();
  let index = 0;
  let sizeBytes = sizeOf(index);
  for await (const chunk of untilAborted(body, signal)) {
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + sizeBytes - gathering.lengthBytes);
      gathering.add(piece);
      at += piece.length;
      if (gathering.lengthBytes < sizeBytes) continue;
      yield gathering.take();
      sizeBytes = sizeOf(++index);
    }
  }
  if (gathering.lengthBytes > 0) yield gathering.take();
}

export type Parts = AsyncIterableIterator<Uint8Array, void, undefined>;

/**
 * The whole of a body that is shorter than its first part would be, which needs no upload in parts; of others the parts, as
 * `bodyParts` gives them.
 */
export async function wholeOrParts(
  body: AsyncIterable<Uint8Array>,
  sizeOf: (index: number) => number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | Parts> {
  const parts = bodyParts(body, sizeOf, signal);
  const first = await parts.next();
  if (first.done === true) return new Uint8Array();
  // Only the last part is short, and the body has run to its end before it comes.
  return first.value.length < sizeOf(0) ? first.value : startingWith(first.value, parts);
}

/** No generator: one that nobody has begun to read would not tell the body to end. */
function startingWith(first: Uint8Array, rest: AsyncGenerator<Uint8Array, void, undefined>): Parts {
  let isBegun = false;
  const parts: Parts = {
    next: async () => {
      if (isBegun) return rest.next();
      isBegun = true;
      return { done: false, value: first };
    },
    return: async () => rest.return(),
    [Symbol.asyncIterator]: () => parts,
  };
  return parts;
}

/** Pieces are kept as they came: a short body never needs the memory of a whole part. */
class Gathering {
  lengthBytes = 0;
  #pieces: Uint8Array[] = [];

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.lengthBytes += piece.length;
  }

  take(): Uint8Array {
    const whole = Buffer.concat(this.#pieces, this.lengthBytes);
    this.#pieces = [];
    this.lengthBytes = 0;
    return whole;
  }
}
