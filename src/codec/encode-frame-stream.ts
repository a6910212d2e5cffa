import { WRITTEN_BLOCK_BYTES } from './frame-descriptor.ts';
import { frameCompressedBlock, frameHead, frameTail, storedBlockSize } from './encode-frame.ts';
import type { EncodeOptions } from './encode-frame.ts';
import { giveBack } from './give-back.ts';
import { BLOCK_HEADER_BYTES, compressBlock, compressBlockOnPool } from './lz4-block.ts';
import { createXxhash32 } from './xxhash32.ts';

export interface EncodeStreamOptions extends EncodeOptions {
  /** Blocks under compression at once; each takes about twice a block's size. */
  readonly parallelism?: number;
}

/** Enough that the thread pool has work while a finished chunk is handed on; a block is small. */
const PARALLELISM = 8;

/** Up to this size compressing takes less time than a trip through the pool: the last block of a small stream. */
const SYNC_BYTES = 32 * 1024;

/** Size of the chunks that come out. */
const OUTPUT_CHUNK_BYTES = 512 * 1024;

/** Most streams are short: a block's memory grows from this to its full size. */
const FIRST_BUFFER_BYTES = 128 * 1024;

/**
 * `source` as one LZ4 frame. Blocks are compressed side by side on the thread pool, a few ahead of the reader, and
 * come out in order; memory is bounded by `parallelism`, whatever the size of the content. Chunks of `source` are
 * copied at once, so it may reuse them. An error of `source` is thrown as it is; what came out by then is no frame.
 */
export async function* encodeFrameStream(
  source: AsyncIterable<Uint8Array>,
  options: EncodeStreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const parallelism = options.parallelism ?? PARALLELISM;
  const hash = createXxhash32();
  const buffers = new BlockBuffers();
  const underWay: Promise<EncodedBlock>[] = [];
  const output = new OutputChunks();
  yield* output.add(frameHead(options));
  for await (const block of collectBlocks(source, buffers)) {
    hash.update(block.subarray(BLOCK_HEADER_BYTES));
    underWay.push(handled(encodeBlock(block, buffers)));
    if (underWay.length >= parallelism) yield* output.take(await underWay.shift()!);
  }
  while (underWay.length > 0) yield* output.take(await underWay.shift()!);
  yield* output.add(frameTail(hash.digest()));
  yield output.rest();
}

/** Keeps a failure that nobody waits for any more from ending the process. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** A block as the frame has it, and how to let go of its memory. */
interface EncodedBlock {
  readonly bytes: Uint8Array;
  readonly release: () => void;
}

/** Encodes a block that has room for its header before its content. */
async function encodeBlock(block: Buffer, buffers: BlockBuffers): Promise<EncodedBlock> {
  const content = block.subarray(BLOCK_HEADER_BYTES);
  const compressed =
    content.length <= SYNC_BYTES ? compressBlock(content) : await compressBlockOnPool(content);
  const framed = frameCompressedBlock(content, compressed);
  if (framed === undefined) {
    giveBack(compressed);
    block.writeUInt32LE(storedBlockSize(content.length), 0);
    return { bytes: block, release: () => buffers.give(block) };
  }
  buffers.give(block);
  return { bytes: framed, release: () => giveBack(framed) };
}

/**
 * Collects what comes out: a destination gets two chunks for each megabyte instead of one for each block, and the
 * memory that the native library answered with goes back to it at once.
 */
class OutputChunks {
  #chunk: Buffer = Buffer.allocUnsafeSlow(OUTPUT_CHUNK_BYTES);
  #filledBytes = 0;

  *add(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    if (this.#filledBytes + bytes.length > this.#chunk.length) {
      yield this.rest();
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(OUTPUT_CHUNK_BYTES, bytes.length));
      this.#filledBytes = 0;
    }
    this.#chunk.set(bytes, this.#filledBytes);
    this.#filledBytes += bytes.length;
  }

  *take({ bytes, release }: EncodedBlock): Generator<Uint8Array, void, undefined> {
    yield* this.add(bytes);
    release();
  }

  /** What was collected since the last chunk. */
  rest(): Uint8Array {
    return this.#chunk.subarray(0, this.#filledBytes);
  }
}

/** Cuts `source` into blocks, each with room for a block header at its front. */
async function* collectBlocks(
  source: AsyncIterable<Uint8Array>,
  buffers: BlockBuffers,
): AsyncGenerator<Buffer, void, undefined> {
  const fullBytes = BLOCK_HEADER_BYTES + WRITTEN_BLOCK_BYTES;
  let buffer: Buffer = Buffer.alloc(0);
  let filledBytes = BLOCK_HEADER_BYTES;
  for await (const chunk of source) {
    let at = 0;
    while (at < chunk.length) {
      const takenBytes = Math.min(chunk.length - at, fullBytes - filledBytes);
      buffer = buffers.grow(buffer, filledBytes, filledBytes + takenBytes);
      buffer.set(chunk.subarray(at, at + takenBytes), filledBytes);
      at += takenBytes;
      filledBytes += takenBytes;
      if (filledBytes < fullBytes) continue;
      yield buffer.subarray(0, fullBytes);
      buffer = Buffer.alloc(0);
      filledBytes = BLOCK_HEADER_BYTES;
    }
  }
  if (filledBytes > BLOCK_HEADER_BYTES) yield buffer.subarray(0, filledBytes);
}

/** Memory for blocks, used again: a fresh 4 MiB for each would cost more than the copy into it. */
class BlockBuffers {
  readonly #free: Buffer[] = [];

  /** `buffer`, or a larger one with the same first `filledBytes`, with room for `neededBytes`. */
  grow(buffer: Buffer, filledBytes: number, neededBytes: number): Buffer {
    if (neededBytes <= buffer.length) return buffer;
    const larger = this.#free.pop() ?? Buffer.allocUnsafeSlow(nextSize(neededBytes));
    buffer.copy(larger, 0, 0, Math.min(filledBytes, buffer.length));
    return larger;
  }

  /** Takes back a block whose bytes nobody needs any more. Only full ones are worth keeping. */
  give(block: Buffer): void {
    if (block.length === BLOCK_HEADER_BYTES + WRITTEN_BLOCK_BYTES) this.#free.push(block);
  }
}

function nextSize(neededBytes: number): number {
  if (neededBytes <= FIRST_BUFFER_BYTES) return FIRST_BUFFER_BYTES;
  return Math.min(Math.max(2 * neededBytes, FIRST_BUFFER_BYTES), BLOCK_HEADER_BYTES + WRITTEN_BLOCK_BYTES);
}
