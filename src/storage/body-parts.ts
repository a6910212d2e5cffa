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
