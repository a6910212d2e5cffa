/** The fixed parts of an LZ4 frame (LZ4 frame format 1.6.x): magic numbers, descriptor, and the one that is written. */
import { xxhash32 } from '../kernel/kernel.ts';
import { lz4Invalid } from './lz4-error.ts';

export const FRAME_MAGIC = 0x184d2204;
export const LEGACY_FRAME_MAGIC = 0x184c2102;
export const MAGIC_BYTES = 4;
/** Set in a block's size when its bytes are stored as they are. */
export const BLOCK_IS_STORED = 0x80000000;
export const CHECKSUM_BYTES = 4;

const FLAG_DICTIONARY = 0x01;
const FLAG_RESERVED = 0x02;
const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_INDEPENDENT = 0x20;
const BD_RESERVED = 0x8f;

/**
 * Content of the blocks that we write. The header allows 4 MiB, as Litestream writes; smaller ones read the same, cost
 * about half a percent of ratio, and keep the memory of a streamed snapshot below a tenth of what 4 MiB blocks take.
 */
export const WRITTEN_BLOCK_BYTES: number = 64 * 1024;

/**
 * Magic and descriptor of every frame written here: version 01, independent blocks, content checksum, blocks of
 * 4 MiB at most, and the descriptor's checksum. Litestream v0.3.13 writes the same seven bytes.
 */
export const WRITTEN_HEADER: Uint8Array = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x64, 0x70, 0xb9);

/** A whole frame with no content: the shortest there is, with 64 KiB as its block size. */
export const EMPTY_FRAME: Uint8Array = Uint8Array.from(Buffer.from('04224d186440a700000000055dcc02', 'hex'));

/** What a frame's header says about the rest of it. */
export interface FrameDescriptor {
  readonly independentBlocks: boolean;
  readonly blockChecksums: boolean;
  readonly contentChecksum: boolean;
  readonly blockBytesMax: number;
  /** The size of the content, when the header tells it. */
  readonly contentBytes: number | undefined;
}

/** How many bytes the descriptor has after its first two, the header checksum included. */
export function descriptorTailBytes(flags: number): number {
  return ((flags & FLAG_CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & FLAG_DICTIONARY) === 0 ? 0 : 4) + 1;
}

/**
 * Reads a descriptor: two bytes (`FLG`, `BD`) and their tail. Throws `LZ4_INVALID`.
 * @param offsetBytes where the descriptor begins, for messages
 */
export function parseDescriptor(descriptor: Uint8Array, offsetBytes: number): FrameDescriptor {
  const view = new DataView(descriptor.buffer, descriptor.byteOffset, descriptor.length);
  const flags = view.getUint8(0);
  const blockDescriptor = view.getUint8(1);
  checkHeaderChecksum(descriptor, offsetBytes);
  if ((flags & FLAG_RESERVED) !== 0) throw lz4Invalid('a reserved flag is set', offsetBytes);
  if ((flags & FLAG_DICTIONARY) !== 0) throw lz4Invalid('it needs a dictionary', offsetBytes);
  return {
    independentBlocks: (flags & FLAG_INDEPENDENT) !== 0,
    blockChecksums: (flags & FLAG_BLOCK_CHECKSUM) !== 0,
    contentChecksum: (flags & FLAG_CONTENT_CHECKSUM) !== 0,
    blockBytesMax: parseBlockBytesMax(blockDescriptor, offsetBytes + 1),
    contentBytes: (flags & FLAG_CONTENT_SIZE) === 0 ? undefined : Number(view.getBigUint64(2, true)),
  };
}

/** Refuses a version that is not known; it is looked at first, because it decides what the other bytes mean. */
export function checkVersion(flags: number, offsetBytes: number): void {
  const version = flags >>> 6;
  if (version !== 1) throw lz4Invalid(`version ${version} of the frame format, expected 1`, offsetBytes);
}

function checkHeaderChecksum(descriptor: Uint8Array, offsetBytes: number): void {
  const at = descriptor.length - 1;
  const expected = (xxhash32(descriptor.subarray(0, at)) >>> 8) & 0xff;
  const found = descriptor[at]!;
  if (found === expected) return;
  throw lz4Invalid(`header checksum is ${hex(found, 2)}, expected ${hex(expected, 2)}`, offsetBytes + at);
}

function parseBlockBytesMax(blockDescriptor: number, offsetBytes: number): number {
  const code = (blockDescriptor >>> 4) & 7;
  if ((blockDescriptor & BD_RESERVED) !== 0) throw lz4Invalid('a reserved bit is set', offsetBytes);
  if (code < 4) throw lz4Invalid(`block size code is ${code}, expected 4 to 7`, offsetBytes);
  return 1 << (8 + 2 * code);
}

/** A number as people compare it with a hex dump's fields: `0x` and at least `digits` digits. */
export function hex(value: number, digits = 8): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
