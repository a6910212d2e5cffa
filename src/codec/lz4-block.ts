/**
 * LZ4 blocks: what lies between the headers of a frame. A block is a list of sequences, each one a token, literal
 * bytes to copy, and a match: "copy `length` bytes from `distance` bytes back" (LZ4 block format). The last sequence
 * has literals only. The kernel encodes and decodes them; what is wrong with a block is found out here.
 */
import { decodeBlock } from '../kernel/kernel.ts';
import { lz4Invalid } from './lz4-error.ts';

const MATCH_BYTES_MIN = 4;
/** A 4-bit length of 15 goes on in the bytes after it, until one is not 255. */
const LENGTH_CONTINUES = 15;

export interface BlockLimits {
  /** Decoded bytes of the same frame before this block that matches may use; 0 for independent blocks. */
  readonly historyBytes: number;
  /** The most that the block may decode to. */
  readonly decodedBytesMax: number;
  /** Where the block lies in the object, for messages. */
  readonly offsetBytes: number;
}

/**
 * Decodes a block.
 *
 * @param history - decoded bytes of the same frame before it, as far as its matches may reach
 * @returns a view of the kernel's memory: to be used or copied before anything is awaited
 * @throws RivuletError `LZ4_INVALID` when it is malformed, or decodes to more than it may
 */
export function decompressBlock(
  block: Uint8Array,
  history: Uint8Array,
  { decodedBytesMax, offsetBytes }: Omit<BlockLimits, 'historyBytes'>,
): Uint8Array {
  const content = decodeBlock(block, decodedBytesMax, history);
  if (content !== undefined) return content;
  const decodedBytes = measureBlock(block, { decodedBytesMax, offsetBytes, historyBytes: history.length });
  throw lz4Invalid(`a block that should decode to ${decodedBytes} bytes does not`, offsetBytes);
}

/**
 * The decoded size of `block` in bytes. It walks the sequences without copying anything, and says what is wrong with one that does
 * not decode.
 *
 * @throws RivuletError `LZ4_INVALID`
 */
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
