/** Content and frames for the codec's tests. */
import { xxhash32 } from '../../src/kernel/kernel.ts';

/** A repeatable stream of numbers in [0, 1). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Pages like a database's: text and numbers from the end, free space in the middle. */
export function databasePages(pageCount: number, seed = 1): Buffer {
  const random = randomNumbers(seed);
  const words = ['alpha', 'customer', 'order', '2024-05-06', 'pending', 'shipped', 'example.com', 'street'];
  const bytes = Buffer.alloc(pageCount * 4096);
  for (let page = 0; page < pageCount; page++) {
    let at = page * 4096 + 100 + Math.floor(random() * 1000);
    const end = (page + 1) * 4096 - 40;
    while (at < end) {
      const word = words[Math.floor(random() * words.length)]!;
      at +=
        bytes.write(word + Math.floor(random() * 1e6).toString(random() < 0.5 ? 10 : 36), at, 'latin1') + 2;
    }
  }
  return bytes;
}

/** Bytes that no compressor makes shorter. */
export function noise(length: number, seed = 1): Buffer {
  const random = randomNumbers(seed);
  return Buffer.from(Uint8Array.from({ length }, () => Math.floor(random() * 256)));
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export interface CraftedFrame {
  readonly independent?: boolean;
  readonly blockChecksums?: boolean;
  readonly contentSize?: number;
  readonly contentChecksum?: boolean;
  /** 4 to 7: 64 KiB, 256 KiB, 1 MiB, 4 MiB. */
  readonly blockSizeCode?: number;
  readonly dictionaryId?: number;
  readonly blocks: readonly { readonly data: Uint8Array; readonly isStored: boolean }[];
  readonly content: Uint8Array;
}

/** A frame with any of the format's options, made by hand. */
export function craftFrame(frame: CraftedFrame): Buffer {
  const hasContentChecksum = frame.contentChecksum ?? true;
  const flags =
    0x40 |
    ((frame.independent ?? true) ? 0x20 : 0) |
    (frame.blockChecksums === true ? 0x10 : 0) |
    (frame.contentSize === undefined ? 0 : 0x08) |
    (hasContentChecksum ? 0x04 : 0) |
    (frame.dictionaryId === undefined ? 0 : 0x01);
  const size = Buffer.alloc(frame.contentSize === undefined ? 0 : 8);
  if (frame.contentSize !== undefined) size.writeBigUInt64LE(BigInt(frame.contentSize));
  const dictionary = frame.dictionaryId === undefined ? Buffer.alloc(0) : uint32(frame.dictionaryId);
  const descriptor = Buffer.concat([Buffer.of(flags, (frame.blockSizeCode ?? 4) << 4), size, dictionary]);
  const blocks = frame.blocks.flatMap(({ data, isStored }) => [
    uint32(data.length + (isStored ? 0x80000000 : 0)),
    data,
    frame.blockChecksums === true ? uint32(xxhash32(data)) : Buffer.alloc(0),
  ]);
  return Buffer.concat([
    uint32(0x184d2204),
    descriptor,
    Buffer.of((xxhash32(descriptor) >>> 8) & 0xff),
    ...blocks,
    uint32(0),
    hasContentChecksum ? uint32(xxhash32(frame.content)) : Buffer.alloc(0),
  ]);
}

/** `bytes` in pieces of the given sizes, the last of which repeats; every piece is a fresh copy. */
export async function* inPieces(
  bytes: Uint8Array,
  sizes: readonly number[] = [1],
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0, piece = 0; at < bytes.length; piece++) {
    const size = Math.max(0, sizes[Math.min(piece, sizes.length - 1)]!) || (piece >= sizes.length ? 1 : 0);
    yield bytes.slice(at, at + size);
    at += size;
  }
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}
