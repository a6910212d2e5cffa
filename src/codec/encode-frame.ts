import { setImmediate as turnForOthers } from 'node:timers/promises';
import { encodeInput, putInput, Xxhash32 } from '../kernel/kernel.ts';
import { BLOCK_IS_STORED, CHECKSUM_BYTES, WRITTEN_BLOCK_BYTES, WRITTEN_HEADER } from './frame-descriptor.ts';
import { encodeSkippableFrame } from './skippable-frame.ts';

export interface EncodeOptions {
  /** Put before the data in a skippable frame of its own; at most `ANNOTATION_BYTES_MAX` bytes. */
  readonly annotation?: Uint8Array | undefined;
}

const BLOCK_HEADER_BYTES = 4;
/** The end mark and the content checksum. */
const FRAME_TAIL_BYTES = 4 + CHECKSUM_BYTES;

/** So much is compressed before others get a turn: some 2 ms. */
const TURN_BYTES = 1024 * 1024;

/** Frames between two turns: whoever simulates time lets it stand still meanwhile. */
export const encoding: { frames: number } = { frames: 0 };

/** `content` as one LZ4 frame, at once: for small content; it blocks about 2 ms per MiB. */
export function encodeFrame(content: Uint8Array, options: EncodeOptions = {}): Uint8Array {
  const frame = new FrameBuilder(content.length, options);
  frame.add(content);
  return frame.finish();
}

/**
 * As `encodeFrame`, with turns for others on the way; it holds the whole result, so it is for content of some megabytes.
 * `content` must not change until the promise settles.
 */
export async function encodeFrameInTurns(
  content: Uint8Array,
  options: EncodeOptions = {},
): Promise<Uint8Array> {
  const frame = new FrameBuilder(content.length, options);
  encoding.frames++;
  try {
    for (let at = 0; at < content.length; at += TURN_BYTES) {
      if (at > 0) await turnForOthers();
      frame.add(content.subarray(at, at + TURN_BYTES));
    }
  } finally {
    encoding.frames--;
  }
  return frame.finish();
}

/** Puts a frame together in memory of the size that it has at most. */
class FrameBuilder {
  readonly #bytes: Buffer;
  readonly #hash = new Xxhash32();
  #filledBytes = 0;

  constructor(contentBytes: number, options: EncodeOptions) {
    const head = frameHead(options);
    const blocks = Math.ceil(contentBytes / WRITTEN_BLOCK_BYTES);
    const mostBytes = head.length + blocks * BLOCK_HEADER_BYTES + contentBytes + FRAME_TAIL_BYTES;
    this.#bytes = Buffer.allocUnsafeSlow(mostBytes);
    this.#put(head);
  }

  /** Adds blocks. All calls but the last add whole ones. */
  add(content: Uint8Array): void {
    for (let at = 0; at < content.length; at += WRITTEN_BLOCK_BYTES) {
      const block = content.subarray(at, at + WRITTEN_BLOCK_BYTES);
      this.#filledBytes += writeBlock(this.#bytes, this.#filledBytes, block, this.#hash);
    }
  }

  finish(): Uint8Array {
    this.#put(frameTail(this.#hash.digest()));
    return this.#bytes.subarray(0, this.#filledBytes);
  }

  #put(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#filledBytes);
    this.#filledBytes += bytes.length;
  }
}

/** The most bytes that a block of so much content takes. */
export function blockBytesMax(contentBytes: number): number {
  return BLOCK_HEADER_BYTES + contentBytes;
}

/**
 * Writes a block with its size to `to[at]`: compressed when that is shorter, else as it is.
 *
 * @param hash - gets the content
 * @returns how many bytes that takes
 */
export function writeBlock(to: Buffer, at: number, content: Uint8Array, hash: Xxhash32): number {
  const input = putInput(content);
  hash.update(input);
  const encoded = encodeInput(input.length);
  const isStored = encoded.length >= input.length;
  const data = isStored ? content : encoded;
  to.writeUInt32LE(isStored ? BLOCK_IS_STORED + data.length : data.length, at);
  to.set(data, at + BLOCK_HEADER_BYTES);
  return BLOCK_HEADER_BYTES + data.length;
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
