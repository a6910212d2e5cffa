/**
 * LZ4 blocks: what lies between the headers of a frame. A block is a list of sequences, each one a token, literal
 * bytes to copy, and a match: "copy `length` bytes from `distance` bytes back" (LZ4 block format). The last sequence
 * has literals only.
 *
 * Decoding is in two steps. `measureBlock` walks the sequences, refuses whatever is malformed and returns the exact
 * decoded size, so that nothing is allocated on an untrusted word. What it has accepted, `decodeBlock` (here, at once)
 * and `decodeBlockOnPool` (native, off the event loop) can decode without a check.
 */
import { compress, compressSync, uncompress, uncompressSync } from 'lz4-napi';
import { lz4Invalid } from './lz4-error.ts';

/** How far back a match can reach; a linked block can reach this far into the blocks before it. */
export const HISTORY_BYTES_MAX: number = 64 * 1024;

const MATCH_BYTES_MIN = 4;
/** A 4-bit length of 15 goes on in the bytes after it, until one is not 255. */
const LENGTH_CONTINUES = 15;
/** The native library puts the decoded size before a block, as 4 bytes; the frame's block header has the same size. */
export const BLOCK_HEADER_BYTES = 4 as const;

export interface BlockLimits {
  /** Decoded bytes of the same frame before this block that matches may use; 0 for independent blocks. */
  readonly historyBytes: number;
  /** The most that the block may decode to. */
  readonly decodedBytesMax: number;
  /** Where the block lies in the object, for messages. */
  readonly offsetBytes: number;
}

/** The decoded size of `block` in bytes. Throws `LZ4_INVALID` when it is malformed or decodes to too much. */
export function measureBlock(block: Uint8Array, limits: BlockLimits): number {
  const end = block.length;
  const fail = (problem: string, at: number): Error => lz4Invalid(problem, limits.offsetBytes + at);
  let at = 0;
  let decoded = 0;
  for (;;) {
    const sequenceAt = at;
    if (at >= end) throw fail('a compressed block ends without its last literals', at);
    const token = block[at++]!;
    let literals = token >>> 4;
    if (literals === LENGTH_CONTINUES) {
      let more: number;
      do {
        if (at >= end) throw fail('a compressed block ends inside a length', at);
        more = block[at++]!;
        literals += more;
      } while (more === 255);
    }
    at += literals;
    decoded += literals;
    if (at > end) throw fail('literals reach past the end of their compressed block', sequenceAt);
    if (decoded > limits.decodedBytesMax) throw fail(tooLarge(limits), sequenceAt);
    if (at === end) return decoded;
    if (at + 2 > end) throw fail('a compressed block ends inside a match distance', at);
    const distance = block[at]! | (block[at + 1]! << 8);
    if (distance === 0) throw fail('a match has distance 0', at);
    if (distance > decoded + limits.historyBytes) throw fail('a match reaches before the beginning', at);
    at += 2;
    let length = (token & 15) + MATCH_BYTES_MIN;
    if (length === LENGTH_CONTINUES + MATCH_BYTES_MIN) {
      let more: number;
      do {
        if (at >= end) throw fail('a compressed block ends inside a length', at);
        more = block[at++]!;
        length += more;
      } while (more === 255);
    }
    decoded += length;
    if (decoded > limits.decodedBytesMax) throw fail(tooLarge(limits), sequenceAt);
  }
}

function tooLarge(limits: BlockLimits): string {
  return `a block decodes to more than the ${limits.decodedBytesMax} bytes allowed here`;
}

/** Shorter runs are copied faster by a plain loop than by a call. */
const LITERALS_BY_CALL_MIN = 32;
const MATCH_BY_CALL_MIN = 64;

/**
 * Decodes a block that `measureBlock` has accepted into `out` at `start`, and returns where it ended. Matches of a
 * linked block find their history in `out` before `start`.
 */
export function decodeBlock(block: Uint8Array, out: Uint8Array, start: number): number {
  const end = block.length;
  let at = 0;
  let to = start;
  for (;;) {
    const token = block[at++]!;
    let literals = token >>> 4;
    if (literals === LENGTH_CONTINUES) {
      let more: number;
      do {
        more = block[at++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals >= LITERALS_BY_CALL_MIN) {
      out.set(block.subarray(at, at + literals), to);
      at += literals;
      to += literals;
    } else {
      for (const stop = to + literals; to < stop;) out[to++] = block[at++]!;
    }
    if (at >= end) return to;
    const distance = block[at]! | (block[at + 1]! << 8);
    at += 2;
    let length = (token & 15) + MATCH_BYTES_MIN;
    if (length === LENGTH_CONTINUES + MATCH_BYTES_MIN) {
      let more: number;
      do {
        more = block[at++]!;
        length += more;
      } while (more === 255);
    }
    let from = to - distance;
    if (distance === 1 && length >= MATCH_BY_CALL_MIN) {
      out.fill(out[from]!, to, to + length);
      to += length;
    } else if (length >= MATCH_BY_CALL_MIN && distance >= length) {
      out.copyWithin(to, from, from + length);
      to += length;
    } else {
      // Overlapping matches repeat what they have just written: byte by byte, in this order.
      for (const stop = to + length; to < stop;) out[to++] = out[from++]!;
    }
  }
}

/** Below this a call of the native library takes longer than the work. */
export const NATIVE_DECODED_BYTES_MIN: number = 2 * 1024;

/** Decodes an independent block that `measureBlock` has accepted natively, at once: three times as fast as `decodeBlock`. */
export function decodeBlockNatively(
  block: Uint8Array,
  decodedBytes: number,
  offsetBytes: number,
): Uint8Array {
  return decodeSized(withRoom(block), decodedBytes, offsetBytes);
}

/** The same without a copy: `sized` is the block with `BLOCK_HEADER_BYTES` bytes before it, which are written here. */
export function decodeSized(sized: Buffer, decodedBytes: number, offsetBytes: number): Uint8Array {
  sized.writeUInt32LE(decodedBytes, 0);
  return checkDecoded(uncompressSync(sized), decodedBytes, offsetBytes);
}

/** A copy of `block` with room for the size before it. */
export function withRoom(block: Uint8Array): Buffer {
  const sized = Buffer.allocUnsafe(BLOCK_HEADER_BYTES + block.length);
  sized.set(block, BLOCK_HEADER_BYTES);
  return sized;
}

/**
 * Decodes an independent block that `measureBlock` has accepted on the thread pool.
 * The input is copied before this returns: the caller's buffer is free at once.
 */
export async function decodeBlockOnPool(
  block: Uint8Array,
  decodedBytes: number,
  offsetBytes: number,
): Promise<Uint8Array> {
  return decodeSizedOnPool(withRoom(block), decodedBytes, offsetBytes);
}

/** As `decodeSized`, on the thread pool; `sized` must not change until the promise settles. */
export async function decodeSizedOnPool(
  sized: Buffer,
  decodedBytes: number,
  offsetBytes: number,
): Promise<Uint8Array> {
  sized.writeUInt32LE(decodedBytes, 0);
  return checkDecoded(await counted(uncompress(sized)), decodedBytes, offsetBytes);
}

function checkDecoded(decoded: Uint8Array, decodedBytes: number, offsetBytes: number): Uint8Array {
  if (decoded.length === decodedBytes) return decoded;
  throw lz4Invalid(`a block of ${decodedBytes} bytes decoded to ${decoded.length}`, offsetBytes);
}

/** A block compressed, with `BLOCK_HEADER_BYTES` bytes before it that are the caller's to overwrite. */
export function compressBlock(content: Uint8Array): Buffer {
  return compressSync(Buffer.from(content.buffer, content.byteOffset, content.length));
}

/** As `compressBlock`, on the thread pool. `content` must not change until the promise settles: it is not copied. */
export async function compressBlockOnPool(content: Uint8Array): Promise<Buffer> {
  return counted(compress(content));
}

/** Blocks that the thread pool has in hand: whoever simulates time lets it stand still meanwhile. */
export const poolWork: { blocks: number } = { blocks: 0 };

async function counted<T>(work: Promise<T>): Promise<T> {
  poolWork.blocks++;
  try {
    return await work;
  } finally {
    poolWork.blocks--;
  }
}
