import { Xxhash32 } from '../kernel/kernel.ts';
import { BlockDecoder } from './block-decoder.ts';
import { ChunkReader } from './chunk-reader.ts';
import { checkContentChecksum, parseFrames, type WantStep } from './frame-parser.ts';

export interface DecodeStreamOptions {
  /** Told the payload of each skippable frame before the first data frame, before any content comes out. */
  readonly onAnnotation?: ((payload: Uint8Array) => void) | undefined;
  /** The most bytes that the content may have; no bound when absent. */
  readonly maxBytes?: number | undefined;
  /** Each chunk is good only until the next one is asked for: its memory is used again then. Else chunks stay. */
  readonly passingChunks?: boolean | undefined;
}

/**
 * Decodes an LZ4 file as it arrives, in chunks of any size. Accepts and throws what `decodeFrame` does; the content
 * checksum comes last, so **nothing that came out may be trusted before the iteration has ended**. `source` is closed when the
 * iteration ends, however it ends.
 */
export async function* decodeFrameStream(
  source: AsyncIterable<Uint8Array>,
  options: DecodeStreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new ChunkReader(source);
  const copies = options.passingChunks === true ? new OneCopy() : COPIES;
  const blocks = new BlockDecoder();
  const input = new BlockInput();
  const parser = parseFrames({ maxBytes: options.maxBytes ?? Number.MAX_SAFE_INTEGER });
  let hash = new Xxhash32();
  let answer: Uint8Array | undefined;
  try {
    for (let next = parser.next(); next.done !== true; next = parser.next(answer)) {
      const step = next.value;
      answer = undefined;
      if (step.kind === 'want') answer = reader.takeNow(step.bytes) ?? (await input.take(reader, step));
      else if (step.kind === 'skip') step.skippedBytes = await reader.skip(step.bytes);
      else if (step.kind === 'annotation') options.onAnnotation?.(new Uint8Array(step.payload));
      else if (step.kind === 'end') {
        checkContentChecksum(step, hash.digest());
        hash = new Xxhash32();
      } else {
        const content = blocks.decode(step);
        const copy = copies.of(content);
        hash.update(content);
        if (copy.length > 0) yield copy;
      }
    }
  } finally {
    await reader.close();
  }
}

/** Memory for blocks that come in pieces, used again for the next one. */
class BlockInput {
  #memory: Uint8Array = new Uint8Array(0);

  async take(reader: ChunkReader, { isBlock, bytes }: WantStep): Promise<Uint8Array> {
    if (!isBlock) return reader.take(bytes);
    // Blocks are of different sizes: the next power of two fits most of those that follow.
    if (this.#memory.length < bytes) this.#memory = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
    return this.#memory.subarray(0, await reader.copyInto(this.#memory.subarray(0, bytes)));
  }
}

const COPIES = { of: (content: Uint8Array): Uint8Array => new Uint8Array(content) };

/** Copies into the same memory, which grows to the size of the largest block. */
class OneCopy {
  #memory: Uint8Array = new Uint8Array(0);

  of(content: Uint8Array): Uint8Array {
    if (this.#memory.length < content.length) this.#memory = new Uint8Array(content.length);
    this.#memory.set(content);
    return this.#memory.subarray(0, content.length);
  }
}
