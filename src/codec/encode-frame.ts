import { BLOCK_IS_STORED, CHECKSUM_BYTES, WRITTEN_BLOCK_BYTES, WRITTEN_HEADER } from './frame-descriptor.ts';
import { giveBack } from './give-back.ts';
import { BLOCK_HEADER_BYTES, compressBlock, compressBlockOnPool } from './lz4-block.ts';
import { encodeSkippableFrame } from './skippable-frame.ts';
import { xxhash32 } from './xxhash32.ts';

export interface EncodeOptions {
  /** Put before the data in a skippable frame of its own; at most `ANNOTATION_BYTES_MAX` bytes. */
  readonly annotation?: Uint8Array | undefined;
}

/** The end mark and the content checksum. */
const FRAME_TAIL_BYTES = 4 + CHECKSUM_BYTES;

/** Below this a trip to the thread pool takes longer than the work. */
const POOL_BYTES_MIN = 64 * 1024;

/** Blocks under compression at once: two cores are kept busy, and little native memory is out at a time. */
const PARALLELISM = 4;

/** `content` as one LZ4 frame, at once: for small content; it blocks about 3 ms per MiB. */
export function encodeFrame(content: Uint8Array, options: EncodeOptions = {}): Uint8Array {
  const frame = new FrameBuilder(content.length, options);
  for (const block of splitBlocks(content)) frame.add(block, compressBlock(block));
  return frame.finish(xxhash32(content));
}

/**
 * As `encodeFrame`, compressing a few blocks side by side on the thread pool; it holds the whole result, so it is for
 * content of some megabytes. `content` must not change until the promise settles.
 */
export async function encodeFrameAsync(
  content: Uint8Array,
  options: EncodeOptions = {},
): Promise<Uint8Array> {
  if (content.length < POOL_BYTES_MIN) return encodeFrame(content, options);
  const frame = new FrameBuilder(content.length, options);
  const blocks = splitBlocks(content);
  const underWay: Promise<Buffer>[] = [];
  for (const [i, block] of blocks.entries()) {
    for (let next = i + underWay.length; next < blocks.length && underWay.length < PARALLELISM; next++)
      underWay.push(handled(compressBlockOnPool(blocks[next]!)));
    frame.add(block, await underWay.shift()!);
  }
  return frame.finish(xxhash32(content));
}

/** Keeps a failure that nobody waits for any more from ending the process. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function splitBlocks(content: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let start = 0; start < content.length; start += WRITTEN_BLOCK_BYTES) {
    blocks.push(content.subarray(start, start + WRITTEN_BLOCK_BYTES));
  }
  return blocks;
}

/** Puts a frame together in memory of the size that it has at most; blocks' own memory is given back at once. */
class FrameBuilder {
  readonly #bytes: Buffer;
  #filledBytes = 0;

  constructor(contentBytes: number, options: EncodeOptions) {
    const head = frameHead(options);
    const blocks = Math.ceil(contentBytes / WRITTEN_BLOCK_BYTES);
    const mostBytes = head.length + blocks * BLOCK_HEADER_BYTES + contentBytes + FRAME_TAIL_BYTES;
    this.#bytes = Buffer.allocUnsafeSlow(mostBytes);
    this.#put(head);
  }

  /** Adds a block: compressed when that is shorter, else as it is. */
  add(content: Uint8Array, compressed: Buffer): void {
    const framed = frameCompressedBlock(content, compressed);
    if (framed === undefined) {
      this.#filledBytes = this.#bytes.writeUInt32LE(storedBlockSize(content.length), this.#filledBytes);
      this.#put(content);
    } else this.#put(framed);
    giveBack(compressed);
  }

  finish(contentChecksum: number): Uint8Array {
    this.#put(frameTail(contentChecksum));
    return this.#bytes.subarray(0, this.#filledBytes);
  }

  #put(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#filledBytes);
    this.#filledBytes += bytes.length;
  }
}

/**
 * Turns the library's output into a frame's block, in place: both have four bytes before the data. Undefined when the
 * content did not get shorter and must be stored as it is.
 */
export function frameCompressedBlock(content: Uint8Array, compressed: Buffer): Uint8Array | undefined {
  const sizeBytes = compressed.length - BLOCK_HEADER_BYTES;
  if (sizeBytes >= content.length) return undefined;
  compressed.writeUInt32LE(sizeBytes, 0);
  return compressed;
}

/** The size field of a block that is stored as it is. */
export function storedBlockSize(bytes: number): number {
  return BLOCK_IS_STORED + bytes;
}

/** What comes before the blocks: the annotation, if any, and the frame's header. */
export function frameHead(options: EncodeOptions): Uint8Array {
  if (options.annotation === undefined) return WRITTEN_HEADER;
  return Buffer.concat([encodeSkippableFrame(options.annotation), WRITTEN_HEADER]);
}

/** What comes after the blocks: the end mark and the checksum of the content. */
export function frameTail(contentChecksum: number): Uint8Array {
  const tail = Buffer.alloc(FRAME_TAIL_BYTES);
  tail.writeUInt32LE(contentChecksum, 4);
  return tail;
}
