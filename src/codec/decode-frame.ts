import { checkContentChecksum, parseFrames } from './frame-parser.ts';
import type { BlockStep, EndStep } from './frame-parser.ts';
import { giveBack } from './give-back.ts';
import {
  NATIVE_DECODED_BYTES_MIN,
  decodeBlock,
  decodeBlockNatively,
  decodeBlockOnPool,
} from './lz4-block.ts';
import { xxhash32 } from './xxhash32.ts';

export interface DecodeOptions {
  /** The most bytes that the content may have; more is refused before memory is taken for it. */
  readonly maxBytes: number;
}

export interface DecodedFrame {
  /** The content of all data frames, one after the other. Its memory is its own. */
  readonly content: Uint8Array;
  /** Payloads of the skippable frames before the first data frame, in order. */
  readonly annotations: Uint8Array[];
}

/** A block is decoded here below this size: a trip to the thread pool would take longer. */
export const POOL_DECODED_BYTES_MIN: number = 64 * 1024;
/**
 * And above this one: memory that one thread takes and another gives back comes home late, so that a stream of 4 MiB
 * blocks grew to 600 MB. Here one takes 3 ms.
 */
const POOL_DECODED_BYTES_MAX = 128 * 1024;

/**
 * Decodes an LZ4 file held in memory: any mix of data frames (every block size, linked blocks, all checksums) and
 * skippable frames. Throws `LZ4_INVALID` for anything that is not exactly that, and `AGE_KEY_MISSING` for an object
 * that is encrypted.
 */
export function decodeFrame(bytes: Uint8Array, options: DecodeOptions): DecodedFrame {
  const layout = readLayout(bytes, options);
  const content = decodeOnlyBlock(layout) ?? decodeBlocks(layout);
  checkFrames(content, layout);
  return { content, annotations: layout.annotations };
}

/** As `decodeFrame`, with large blocks decoded on the thread pool. `bytes` must not change until it settles. */
export async function decodeFrameAsync(bytes: Uint8Array, options: DecodeOptions): Promise<DecodedFrame> {
  const layout = readLayout(bytes, options);
  const content = new Uint8Array(layout.contentBytes);
  const [onPool, here] = partition(layout.blocks, ({ block }) => belongsOnPool(block));
  const pooled = Promise.all(
    onPool.map(async ({ block, start }) => {
      moveInto(content, await decodeBlockOnPool(block.data, block.decodedBytes, block.offsetBytes), start);
    }),
  );
  // Linked blocks never go to the pool, so the history of each one is in place here.
  for (const placed of here) decodeInto(content, placed);
  await pooled;
  checkFrames(content, layout);
  return { content, annotations: layout.annotations };
}

/** The content of a frame of one block, as most segments are: what the native library answers with, uncopied. */
function decodeOnlyBlock({ blocks }: Layout): Uint8Array | undefined {
  const [first] = blocks;
  if (first === undefined || blocks.length > 1 || !isForNative(first.block)) return undefined;
  return decodeNatively(first.block);
}

function decodeBlocks(layout: Layout): Uint8Array {
  const content = new Uint8Array(layout.contentBytes);
  for (const placed of layout.blocks) decodeInto(content, placed);
  return content;
}

/** Whether the native library is the faster one for a block. */
export function isForNative(block: BlockStep): boolean {
  return !block.isStored && !block.isLinked && block.decodedBytes >= NATIVE_DECODED_BYTES_MIN;
}

function decodeNatively({ data, decodedBytes, offsetBytes }: BlockStep): Uint8Array {
  return decodeBlockNatively(data, decodedBytes, offsetBytes);
}

/** A small block that stands alone, decoded at once. */
export function decodeSmall(block: BlockStep): Uint8Array {
  const content = new Uint8Array(block.decodedBytes);
  decodeBlock(block.data, content, 0);
  return content;
}

/** Whether to decode a block on the thread pool: those that stand alone and are large, but not very large. */
export function belongsOnPool(block: BlockStep): boolean {
  const { isStored, isLinked, decodedBytes } = block;
  if (isStored || isLinked) return false;
  return decodedBytes >= POOL_DECODED_BYTES_MIN && decodedBytes <= POOL_DECODED_BYTES_MAX;
}

interface PlacedBlock {
  readonly block: BlockStep;
  /** Where its content begins in the whole content. */
  readonly start: number;
}

interface PlacedEnd {
  readonly end: EndStep;
  readonly frameStart: number;
  readonly frameEnd: number;
}

interface Layout {
  readonly blocks: PlacedBlock[];
  readonly ends: PlacedEnd[];
  readonly annotations: Uint8Array[];
  readonly contentBytes: number;
}

/** Everything about the file but its content: after this the exact size is known. */
function readLayout(bytes: Uint8Array, options: DecodeOptions): Layout {
  const blocks: PlacedBlock[] = [];
  const ends: PlacedEnd[] = [];
  const annotations: Uint8Array[] = [];
  const parser = parseFrames(options);
  let at = 0;
  let start = 0;
  let frameStart = 0;
  let answer: Uint8Array | undefined;
  for (let next = parser.next(); next.done !== true; next = parser.next(answer)) {
    const step = next.value;
    answer = undefined;
    switch (step.kind) {
      case 'want':
        answer = bytes.subarray(at, at + step.bytes);
        at += answer.length;
        break;
      case 'skip':
        step.skippedBytes = Math.min(step.bytes, bytes.length - at);
        at += step.skippedBytes;
        break;
      case 'annotation':
        annotations.push(step.payload.slice());
        break;
      case 'block':
        blocks.push({ block: step, start });
        start += step.decodedBytes;
        break;
      case 'end':
        ends.push({ end: step, frameStart, frameEnd: start });
        frameStart = start;
        break;
    }
  }
  return { blocks, ends, annotations, contentBytes: start };
}

function decodeInto(content: Uint8Array, { block, start }: PlacedBlock): void {
  if (block.isStored) content.set(block.data, start);
  else if (isForNative(block)) moveInto(content, decodeNatively(block), start);
  else decodeBlock(block.data, content, start);
}

function moveInto(content: Uint8Array, decoded: Uint8Array, start: number): void {
  content.set(decoded, start);
  giveBack(decoded);
}

function checkFrames(content: Uint8Array, layout: Layout): void {
  for (const { end, frameStart, frameEnd } of layout.ends) {
    if (end.contentChecksum === undefined) continue;
    checkContentChecksum(end, xxhash32(content.subarray(frameStart, frameEnd)));
  }
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter((item) => test(item)), items.filter((item) => !test(item))];
}
