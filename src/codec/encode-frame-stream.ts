import { Xxhash32 } from '../kernel/kernel.ts';
import { blockBytesMax, frameHead, frameTail, writeBlock } from './encode-frame.ts';
import type { EncodeOptions } from './encode-frame.ts';
import { WRITTEN_BLOCK_BYTES } from './frame-descriptor.ts';

/** Size of the chunks that come out. */
const OUTPUT_CHUNK_BYTES = 512 * 1024;

/**
 * `source` as one LZ4 frame; memory is bounded, whatever the size of the content. Chunks of `source` are read at once, so it
 * may reuse them; it also decides how often others get a turn, since compressing takes about 2 ms per MiB. An error of `source` is
 * thrown as it is; what came out by then is no frame.
 */
export async function* encodeFrameStream(
  source: AsyncIterable<Uint8Array>,
  options: EncodeOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const output = new OutputChunks();
  const blocks = new WholeBlocks();
  yield* output.add(frameHead(options));
  for await (const chunk of source) {
    for (const block of blocks.of(chunk)) yield* output.addBlock(block);
  }
  if (blocks.rest.length > 0) yield* output.addBlock(blocks.rest);
  yield* output.end();
}

/** Collects what comes out: a destination gets two chunks for each megabyte instead of one for each block. */
class OutputChunks {
  readonly #hash = new Xxhash32();
  #chunk: Buffer = Buffer.allocUnsafeSlow(OUTPUT_CHUNK_BYTES);
  #filledBytes = 0;

  *add(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    yield* this.#makeRoom(bytes.length);
    this.#chunk.set(bytes, this.#filledBytes);
    this.#filledBytes += bytes.length;
  }

  /** It is compressed before anything comes out, so that its memory is free then. */
  *addBlock(content: Uint8Array): Generator<Uint8Array, void, undefined> {
    const full = this.#fullChunk(blockBytesMax(content.length));
    this.#filledBytes += writeBlock(this.#chunk, this.#filledBytes, content, this.#hash);
    if (full !== undefined) yield full;
  }

  /** The end of the frame, and what was collected since the last chunk. */
  *end(): Generator<Uint8Array, void, undefined> {
    yield* this.add(frameTail(this.#hash.digest()));
    yield this.#chunk.subarray(0, this.#filledBytes);
  }

  *#makeRoom(bytes: number): Generator<Uint8Array, void, undefined> {
    const full = this.#fullChunk(bytes);
    if (full !== undefined) yield full;
  }

  /** The chunk so far, and another one begun, where `bytes` more do not fit. */
  #fullChunk(bytes: number): Uint8Array | undefined {
    if (this.#filledBytes + bytes <= this.#chunk.length) return undefined;
    const full = this.#chunk.subarray(0, this.#filledBytes);
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(OUTPUT_CHUNK_BYTES, bytes));
    this.#filledBytes = 0;
    return full;
  }
}

/** Cuts chunks of any size into whole blocks. */
class WholeBlocks {
  /** What has come of a block that is not whole yet. */
  #begun: Uint8Array = new Uint8Array(0);
  #begunBytes = 0;

  get rest(): Uint8Array {
    return this.#begun.subarray(0, this.#begunBytes);
  }

  /** Each block is good until the next one is asked for. */
  *of(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#begunBytes === 0 && chunk.length - at >= WRITTEN_BLOCK_BYTES) {
        yield chunk.subarray(at, at + WRITTEN_BLOCK_BYTES);
        at += WRITTEN_BLOCK_BYTES;
        continue;
      }
      const taken = chunk.subarray(at, at + WRITTEN_BLOCK_BYTES - this.#begunBytes);
      this.#begin(taken);
      at += taken.length;
      if (this.#begunBytes < WRITTEN_BLOCK_BYTES) continue;
      this.#begunBytes = 0;
      yield this.#begun;
    }
  }

  #begin(bytes: Uint8Array): void {
    if (this.#begun.length === 0) this.#begun = new Uint8Array(WRITTEN_BLOCK_BYTES);
    this.#begun.set(bytes, this.#begunBytes);
    this.#begunBytes += bytes.length;
  }
}
