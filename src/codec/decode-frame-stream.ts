import { ChunkReader } from './chunk-reader.ts';
import { belongsOnPool, decodeSmall, isForNative } from './decode-frame.ts';
import { checkContentChecksum, parseFrames } from './frame-parser.ts';
import type { BlockStep, EndStep, FrameStep, WantStep } from './frame-parser.ts';
import { giveBack } from './give-back.ts';
import {
  BLOCK_HEADER_BYTES,
  HISTORY_BYTES_MAX,
  decodeBlock,
  decodeSized,
  decodeSizedOnPool,
  withRoom,
} from './lz4-block.ts';
import { createXxhash32 } from './xxhash32.ts';

export interface DecodeStreamOptions {
  /** Told the payload of each skippable frame before the first data frame, before any content comes out. */
  readonly onAnnotation?: ((payload: Uint8Array) => void) | undefined;
  /** The most bytes that the content may have; no bound when absent. */
  readonly maxBytes?: number | undefined;
  /**
   * Each chunk is good only until the next one is asked for; its memory is given back then. Else chunks stay, and
   * those that nobody holds any more wait for the garbage collector, which is slow to see them.
   */
  readonly passingChunks?: boolean | undefined;
}

/** Blocks decoded ahead of the reader; each takes up to 8 MiB. */
const LOOK_AHEAD_BLOCKS = 3;

/** Compressed blocks from this size on are collected in memory that is used again. */
const KEPT_BUFFER_BYTES_MIN = 16 * 1024;

type Part = DecodingBlock | { readonly end: EndStep };

interface DecodingBlock {
  readonly content: Promise<Uint8Array> | Uint8Array;
  /** Whether the content's memory is its own, and nobody else's. */
  readonly isOwn: boolean;
}

/**
 * Decodes an LZ4 file as it arrives, in chunks of any size. Accepts and throws what `decodeFrame` does; the content
 * checksum comes last, so **nothing that came out may be trusted before the iteration has ended**. Large independent
 * blocks are decoded on the thread pool, a few ahead of the reader. Chunks must not be changed once handed over; what
 * comes out may share their memory. `source` is closed when the iteration ends, however it ends.
 */
export async function* decodeFrameStream(
  source: AsyncIterable<Uint8Array>,
  options: DecodeStreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new ChunkReader(source);
  const ahead: Part[] = [];
  let hash = createXxhash32();
  try {
    const parts = readParts(reader, options);
    for (;;) {
      const isMore = await lookAhead(parts, ahead);
      const part = ahead.shift();
      if (part === undefined) {
        if (!isMore) return;
      } else if ('end' in part) {
        checkContentChecksum(part.end, hash.digest());
        hash = createXxhash32();
      } else {
        const content = await part.content;
        hash.update(content);
        if (content.length > 0) yield content;
        if (options.passingChunks === true && part.isOwn) giveBack(content);
      }
    }
  } finally {
    await reader.close();
  }
}

/** Fills the look-ahead; false when there is nothing more to read. */
async function lookAhead(parts: AsyncGenerator<Part, void, undefined>, ahead: Part[]): Promise<boolean> {
  while (ahead.length < LOOK_AHEAD_BLOCKS) {
    const next = await parts.next();
    if (next.done === true) return false;
    ahead.push(next.value);
  }
  return true;
}

/** The blocks and ends of the file, each block on its way to be decoded. */
async function* readParts(
  reader: ChunkReader,
  options: DecodeStreamOptions,
): AsyncGenerator<Part, void, undefined> {
  const linked = new LinkedDecoder();
  const buffers = new BlockInputs();
  for await (const step of readSteps(reader, buffers, options.maxBytes ?? Number.MAX_SAFE_INTEGER)) {
    if (step.kind === 'annotation') options.onAnnotation?.(step.payload.slice());
    else if (step.kind === 'block') yield startDecoding(step, linked, buffers);
    else if (step.kind === 'end') yield { end: step };
  }
}

async function* readSteps(
  reader: ChunkReader,
  buffers: BlockInputs,
  maxBytes: number,
): AsyncGenerator<FrameStep, void, undefined> {
  const parser = parseFrames({ maxBytes });
  let answer: Uint8Array | undefined;
  for (let next = parser.next(); next.done !== true; next = parser.next(answer)) {
    const step = next.value;
    answer = undefined;
    if (step.kind === 'want') answer = await answerWant(step, reader, buffers);
    else if (step.kind === 'skip') step.skippedBytes = await reader.skip(step.bytes);
    else yield step;
  }
}

function answerWant(
  step: WantStep,
  reader: ChunkReader,
  buffers: BlockInputs,
): Promise<Uint8Array> | Uint8Array {
  if (step.isBlock && step.bytes >= KEPT_BUFFER_BYTES_MIN) return buffers.fill(reader, step.bytes);
  return reader.takeNow(step.bytes) ?? reader.take(step.bytes);
}

function startDecoding(block: BlockStep, linked: LinkedDecoder, inputs: BlockInputs): DecodingBlock {
  if (!block.isLinked && block.isStored) return { content: inputs.release(block.data), isOwn: false };
  if (belongsOnPool(block)) return { content: handled(inputs.decodeOnPool(block)), isOwn: true };
  if (!block.isLinked && isForNative(block)) return { content: inputs.decodeHere(block), isOwn: true };
  const content = block.isLinked ? linked.decode(block) : decodeSmall(block);
  inputs.recycle(block.data);
  return { content, isOwn: !block.isLinked };
}

/**
 * Memory for compressed blocks, used again when a block has been decoded. Each buffer has room for the size that the
 * native library wants before its input, so that a block is copied once on its way from the source.
 */
class BlockInputs {
  readonly #free: Buffer[] = [];
  /** The buffer that the parser's last block lies in. */
  #filled: Buffer | undefined;

  async fill(reader: ChunkReader, bytes: number): Promise<Uint8Array> {
    const needed = BLOCK_HEADER_BYTES + bytes;
    const free = this.#free.pop();
    const buffer =
      free !== undefined && free.length >= needed ? free : Buffer.allocUnsafeSlow(roomFor(needed));
    const got = await reader.copyInto(buffer.subarray(BLOCK_HEADER_BYTES, needed));
    this.#filled = buffer;
    return buffer.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + got);
  }

  /** Decodes a block on the thread pool; it is copied when it does not lie in one of these buffers. */
  async decodeOnPool(block: BlockStep): Promise<Uint8Array> {
    const own = this.#take(block.data);
    const decoded = await decodeSizedOnPool(sizedIn(own, block), block.decodedBytes, block.offsetBytes);
    if (own !== undefined) this.#free.push(own);
    return decoded;
  }

  /** The same at once. */
  decodeHere(block: BlockStep): Uint8Array {
    const own = this.#take(block.data);
    const decoded = decodeSized(sizedIn(own, block), block.decodedBytes, block.offsetBytes);
    if (own !== undefined) this.#free.push(own);
    return decoded;
  }

  /** The bytes go to the reader of the stream, with their buffer. */
  release(data: Uint8Array): Uint8Array {
    this.#take(data);
    return data;
  }

  /** Nobody needs the bytes any more. */
  recycle(data: Uint8Array): void {
    const own = this.#take(data);
    if (own !== undefined) this.#free.push(own);
  }

  #take(data: Uint8Array): Buffer | undefined {
    const filled = this.#filled;
    if (filled === undefined || filled.buffer !== data.buffer) return undefined;
    this.#filled = undefined;
    return filled;
  }
}

/** The block as the native library wants it, in `buffer` when it lies there. */
function sizedIn(buffer: Buffer | undefined, { data }: BlockStep): Buffer {
  return buffer?.subarray(0, BLOCK_HEADER_BYTES + data.length) ?? withRoom(data);
}

/** Blocks are of different sizes: the next power of two fits most of those that follow. */
function roomFor(bytes: number): number {
  return BLOCK_HEADER_BYTES + 2 ** Math.ceil(Math.log2(bytes));
}

/** Keeps a failure that nobody waits for any more from ending the process. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Decodes blocks that refer to those before them, and so must be taken one after the other. */
class LinkedDecoder {
  #history: Uint8Array = new Uint8Array(0);

  decode(block: BlockStep): Uint8Array {
    const history = block.isFirst ? new Uint8Array(0) : this.#history;
    const joined = new Uint8Array(history.length + block.decodedBytes);
    joined.set(history);
    if (block.isStored) joined.set(block.data, history.length);
    else decodeBlock(block.data, joined, history.length);
    this.#history = joined.slice(Math.max(0, joined.length - HISTORY_BYTES_MAX));
    return joined.subarray(history.length);
  }
}
