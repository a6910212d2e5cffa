import { BLOCK_IS_STORED, CHECKSUM_BYTES, WRITTEN_BLOCK_BYTES, WRITTEN_HEADER } from './frame-descriptor.ts';
import { BLOCK_HEADER_BYTES, compressBlock, compressBlockOnPool } from './lz4-block.ts';
import { encodeSkippableFrame } from './skippable-frame.ts';
import { xxhash32 } from './xxhash32.ts';

export interface EncodeOptions {
  /** Put before the data in a skippable frame of its own; at most `ANNOTATION_BYTES_MAX` bytes. */
  readonly annotation?: Uint8Array | undefined;
}

/** Below this a trip to the thread pool takes longer than the work. */
const POOL_BYTES_MIN = 64 * 1024;

/** `content` as one LZ4 frame, at once: for small content; it blocks about 3 ms per MiB. */
export function encodeFrame(content: Uint8Array, options: EncodeOptions = {}): Uint8Array {
  const blocks = splitBlocks(content).map((block) => blockParts(block, compressBlock(block)));
  return joinFrame(content, blocks, options);
}

/**
 * As `encodeFrame`, compressing all blocks side by side on the thread pool; it holds the whole result, so it is for
 * content of a few blocks. `content` must not change until the promise settles.
 */
export async function encodeFrameAsync(
  content: Uint8Array,
  options: EncodeOptions = {},
): Promise<Uint8Array> {
  if (content.length < POOL_BYTES_MIN) return encodeFrame(content, options);
  const compressed = splitBlocks(content).map(async (block) =>
    blockParts(block, await compressBlockOnPool(block)),
  );
  return joinFrame(content, await Promise.all(compressed), options);
}

function splitBlocks(content: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let start = 0; start < content.length; start += WRITTEN_BLOCK_BYTES) {
    blocks.push(content.subarray(start, start + WRITTEN_BLOCK_BYTES));
  }
  return blocks;
}

/** A block as a frame has it, in pieces: compressed when that is shorter, else as it is. */
function blockParts(content: Uint8Array, compressed: Buffer): Uint8Array[] {
  const framed = frameCompressedBlock(content, compressed);
  if (framed !== undefined) return [framed];
  const header = Buffer.alloc(BLOCK_HEADER_BYTES);
  header.writeUInt32LE(storedBlockSize(content.length), 0);
  return [header, content];
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
  const tail = Buffer.alloc(4 + CHECKSUM_BYTES);
  tail.writeUInt32LE(contentChecksum, 4);
  return tail;
}

function joinFrame(content: Uint8Array, blocks: Uint8Array[][], options: EncodeOptions): Uint8Array {
  return Buffer.concat([frameHead(options), ...blocks.flat(), frameTail(xxhash32(content))]);
}
