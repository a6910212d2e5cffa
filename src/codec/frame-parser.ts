/**
 * The structure of LZ4 files, read once for all decoders. `parseFrames` is a generator that never touches a source:
 * it asks for bytes ("give me 4") and tells what it found ("a block"). The decoders differ only in where bytes come
 * from and on which thread blocks are decoded.
 *
 * Strict: whatever is cut off, does not belong, or does not match its checksum throws `LZ4_INVALID` with its offset.
 */
import { RivuletError } from '../base/errors.ts';
import { xxhash32 } from '../kernel/kernel.ts';
import { ageKeyMissing } from './age/age-error.ts';
import {
  BLOCK_IS_STORED,
  CHECKSUM_BYTES,
  FRAME_MAGIC,
  LEGACY_FRAME_MAGIC,
  MAGIC_BYTES,
  checkVersion,
  descriptorTailBytes,
  hex,
  parseDescriptor,
} from './frame-descriptor.ts';
import type { FrameDescriptor } from './frame-descriptor.ts';
import { lz4Invalid } from './lz4-error.ts';
import { ANNOTATION_BYTES_MAX, isSkippableMagic } from './skippable-frame.ts';

/** Asks for exactly `bytes` bytes; the answer has fewer only when the input ends. */
export interface WantStep {
  readonly kind: 'want';
  readonly bytes: number;
  /** They are a block; all else that is asked for is a few bytes. */
  readonly isBlock: boolean;
}

/** Passes over `bytes` bytes; the answer's length does not matter, `skippedBytes` tells how many there were. */
export interface SkipStep {
  readonly kind: 'skip';
  readonly bytes: number;
  /** Filled in by the driver. */
  skippedBytes: number;
}

/** The payload of a skippable frame before the first data frame. */
export interface AnnotationStep {
  readonly kind: 'annotation';
  readonly payload: Uint8Array;
}

/** A block; the driver decodes it. */
export interface BlockStep {
  readonly kind: 'block';
  /** As it is stored; a view of what the driver gave. */
  readonly data: Uint8Array;
  readonly offsetBytes: number;
  readonly isStored: boolean;
  /** It may refer to the 64 KiB before it, of the same frame. */
  readonly isLinked: boolean;
  readonly isFirst: boolean;
  /** The most that it may decode to. */
  readonly decodedBytesMax: number;
  /** Filled in by the driver. */
  decodedBytes: number;
}

/** The end of a data frame; the driver, which has the content, compares. */
export interface EndStep {
  readonly kind: 'end';
  readonly contentChecksum: number | undefined;
  readonly offsetBytes: number;
}

export type FrameStep = WantStep | SkipStep | AnnotationStep | BlockStep | EndStep;

/** A parser under way: `next(bytes)` answers a `want`, `next()` anything else. */
export type FrameParser = Generator<FrameStep, void, Uint8Array | undefined>;

export interface ParseOptions {
  /** The most that all frames together may decode to. */
  readonly maxBytes: number;
}

const AGE_HEADER = Buffer.from('age-encryption.org/v1');

/** Where the parser stands. */
interface Cursor {
  offsetBytes: number;
  contentBytes: number;
  readonly maxBytes: number;
}

/** Parses a whole file: any number of skippable frames and at least one data frame. */
export function* parseFrames(options: ParseOptions): FrameParser {
  const cursor: Cursor = { offsetBytes: 0, contentBytes: 0, maxBytes: options.maxBytes };
  let dataFrames = 0;
  for (;;) {
    const magic = yield* readMagic(cursor);
    if (magic === undefined) break;
    if (isSkippableMagic(magic)) yield* parseSkippable(cursor, dataFrames === 0);
    else if (magic === FRAME_MAGIC) {
      yield* parseFrame(cursor);
      dataFrames++;
    } else yield* refuseMagic(cursor, magic);
  }
  if (dataFrames === 0) throw lz4Invalid('it ends before any data frame', cursor.offsetBytes);
}

function* take(
  cursor: Cursor,
  bytes: number,
  what: string,
  isBlock: boolean = false,
): Generator<FrameStep, Uint8Array, Uint8Array | undefined> {
  const taken = yield { kind: 'want', bytes, isBlock };
  const found = taken?.length ?? 0;
  cursor.offsetBytes += found;
  if (taken !== undefined && found === bytes) return taken;
  throw lz4Invalid(`cut off inside ${what}: ${bytes} bytes expected, ${found} there`, cursor.offsetBytes);
}

function* takeUint32(cursor: Cursor, what: string): Generator<FrameStep, number, Uint8Array | undefined> {
  return readUint32(yield* take(cursor, 4, what));
}

function readUint32(bytes: Uint8Array): number {
  return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
}

/** The next magic number, or undefined at the end of the input: between frames it may end. */
function* readMagic(cursor: Cursor): Generator<FrameStep, number | undefined, Uint8Array | undefined> {
  const bytes = yield { kind: 'want', bytes: MAGIC_BYTES, isBlock: false };
  const found = bytes?.length ?? 0;
  cursor.offsetBytes += found;
  if (bytes === undefined || found === 0) return undefined;
  if (found === MAGIC_BYTES) return readUint32(bytes);
  throw lz4Invalid(`${found} bytes that are no frame at the end`, cursor.offsetBytes - found);
}

function* refuseMagic(cursor: Cursor, magic: number): Generator<FrameStep, never, Uint8Array | undefined> {
  const at = cursor.offsetBytes - MAGIC_BYTES;
  if (at === 0 && magic === AGE_HEADER.readUInt32LE(0)) yield* refuseAge(cursor);
  if (magic === LEGACY_FRAME_MAGIC)
    throw lz4Invalid('it is in the legacy frame format, which is not read', at);
  if (at === 0) throw lz4Invalid(`it begins with ${hex(magic)}, expected ${hex(FRAME_MAGIC)}`, at);
  throw lz4Invalid(`unknown magic number ${hex(magic)} after a frame`, at);
}

function* refuseAge(cursor: Cursor): Generator<FrameStep, void, Uint8Array | undefined> {
  const rest = yield* take(cursor, AGE_HEADER.length - MAGIC_BYTES, 'an age header');
  if (!AGE_HEADER.subarray(MAGIC_BYTES).equals(rest)) return;
  throw ageKeyMissing();
}

function* parseSkippable(cursor: Cursor, isLeading: boolean): FrameParser {
  const bytes = yield* takeUint32(cursor, "a skippable frame's size");
  if (isLeading && bytes <= ANNOTATION_BYTES_MAX) {
    yield { kind: 'annotation', payload: yield* take(cursor, bytes, 'a skippable frame') };
    return;
  }
  const skip: SkipStep = { kind: 'skip', bytes, skippedBytes: 0 };
  yield skip;
  cursor.offsetBytes += skip.skippedBytes;
  if (skip.skippedBytes === bytes) return;
  throw lz4Invalid(
    `cut off inside a skippable frame: ${bytes} bytes expected, ${skip.skippedBytes} there`,
    cursor.offsetBytes,
  );
}

function* parseFrame(cursor: Cursor): FrameParser {
  const descriptor = yield* readDescriptor(cursor);
  const startContentBytes = cursor.contentBytes;
  if ((descriptor.contentBytes ?? 0) > cursor.maxBytes - cursor.contentBytes) throw tooLarge(cursor);
  let isFirst = true;
  for (;;) {
    const sizeAt = cursor.offsetBytes;
    const size = yield* takeUint32(cursor, "a block's size");
    if (size === 0) break;
    const block = yield* readBlock(cursor, descriptor, { size, sizeAt, isFirst });
    yield block;
    cursor.contentBytes += block.decodedBytes;
    if (cursor.contentBytes > cursor.maxBytes) throw tooLarge(cursor);
    isFirst = false;
  }
  checkContentBytes(descriptor, cursor.contentBytes - startContentBytes, cursor.offsetBytes);
  const offsetBytes = cursor.offsetBytes;
  const contentChecksum = descriptor.contentChecksum
    ? yield* takeUint32(cursor, 'the content checksum')
    : undefined;
  yield { kind: 'end', contentChecksum, offsetBytes };
}

function* readDescriptor(cursor: Cursor): Generator<FrameStep, FrameDescriptor, Uint8Array | undefined> {
  const startAt = cursor.offsetBytes;
  const head = yield* take(cursor, 2, 'the frame header');
  // What was handed out may be reused by the next answer.
  const flags = head[0]!;
  const blockDescriptor = head[1]!;
  checkVersion(flags, startAt);
  const tail = yield* take(cursor, descriptorTailBytes(flags), 'the frame header');
  return parseDescriptor(Uint8Array.of(flags, blockDescriptor, ...tail), startAt);
}

interface BlockHeader {
  readonly size: number;
  readonly sizeAt: number;
  readonly isFirst: boolean;
}

function* readBlock(
  cursor: Cursor,
  descriptor: FrameDescriptor,
  header: BlockHeader,
): Generator<FrameStep, BlockStep, Uint8Array | undefined> {
  const isStored = header.size >= BLOCK_IS_STORED;
  const storedBytes = isStored ? header.size - BLOCK_IS_STORED : header.size;
  if (storedBytes > descriptor.blockBytesMax) {
    throw lz4Invalid(
      `a block of ${storedBytes} bytes, at most ${descriptor.blockBytesMax} expected`,
      header.sizeAt,
    );
  }
  const offsetBytes = cursor.offsetBytes;
  const checksumBytes = descriptor.blockChecksums ? CHECKSUM_BYTES : 0;
  const bytes = yield* take(cursor, storedBytes + checksumBytes, 'a block', true);
  const data = checksumBytes === 0 ? bytes : bytes.subarray(0, storedBytes);
  if (descriptor.blockChecksums)
    checkBlockChecksum(data, bytes.subarray(storedBytes), offsetBytes + storedBytes);
  return {
    kind: 'block',
    data,
    offsetBytes,
    isStored,
    isLinked: !descriptor.independentBlocks,
    isFirst: header.isFirst,
    decodedBytesMax: descriptor.blockBytesMax,
    decodedBytes: 0,
  };
}

function checkBlockChecksum(data: Uint8Array, checksum: Uint8Array, offsetBytes: number): void {
  const expected = xxhash32(data);
  const found = readUint32(checksum);
  if (found !== expected) throw checksumMismatch('a block', found, expected, offsetBytes);
}

function checkContentBytes(descriptor: FrameDescriptor, found: number, offsetBytes: number): void {
  const expected = descriptor.contentBytes;
  if (expected === undefined || expected === found) return;
  throw lz4Invalid(`the content has ${found} bytes, its header says ${expected}`, offsetBytes);
}

/** Compares a frame's content checksum with the content's hash. Throws `LZ4_INVALID`. */
export function checkContentChecksum(end: EndStep, actual: number): void {
  if (end.contentChecksum === undefined || end.contentChecksum === actual) return;
  throw checksumMismatch('the content', end.contentChecksum, actual, end.offsetBytes);
}

function checksumMismatch(of: string, found: number, expected: number, offsetBytes: number): RivuletError {
  return lz4Invalid(
    `checksum of ${of} is stored as ${hex(found)}, its bytes give ${hex(expected)}`,
    offsetBytes,
  );
}

function tooLarge(cursor: Cursor): RivuletError {
  return lz4Invalid(`it decodes to more than the ${cursor.maxBytes} bytes expected here`, cursor.offsetBytes);
}
