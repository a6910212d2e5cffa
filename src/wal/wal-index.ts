/**
 * The head of the WAL index, which SQLite keeps in the `-shm` file: what has been committed, and how far checkpoints have come
 * (sqlite.org/walformat.html, section 2.1; `WalIndexHdr` and `WalCkptInfo` in SQLite's wal.c). Pure: bytes in, facts out.
 *
 * The header is stored twice. A writer stores the second copy first, so a reader that finds both copies equal, with a
 * checksum that matches, has not met a writer half way. Numbers are in the machine's byte order, salts as in the WAL.
 */
import {
  CHECKSUM_START,
  type Checksum,
  checksumsEqual,
  LITTLE_ENDIAN_MACHINE,
  walChecksum,
} from './checksum.ts';
import { isPageSize } from './wal-header.ts';

/** Both copies of the header and the checkpoint fields; hash tables follow. */
export const WAL_INDEX_BYTES = 136;

const HEADER_BYTES = 48;
const CHECKSUMMED_BYTES = 40;
const FORMAT_VERSION = 3007000;
const READ_MARKS = 5;

const AT = {
  version: 0,
  change: 8,
  isInitialised: 12,
  bigEndianChecksum: 13,
  pageSize: 14,
  frames: 16,
  pageCount: 20,
  frameChecksum: 24,
  salts: 32,
  checksum: 40,
  backfilled: 96,
  readMarks: 100,
} as const;

export interface WalIndex {
  /** Counts committed transactions, modulo 2^32, through checkpoints and restarts of the WAL. A recovery sets it to 0. */
  readonly change: number;
  /** Frames of the present WAL that are committed for every reader. */
  readonly frames: number;
  /** Size of the database in pages; 0 after the recovery of an empty WAL: the size of the file counts then. */
  readonly pageCount: number;
  /** 0 after the recovery of an empty WAL, until the first commit. */
  readonly pageSizeBytes: number;
  readonly bigEndianChecksum: boolean;
  /** Running checksum behind frame `frames`; of no meaning while that is 0. */
  readonly frameChecksum: Checksum;
  /** As in the header of the WAL. */
  readonly salt1: number;
  readonly salt2: number;
  /** Frames of the present WAL that are in the database file. Outside of the checksum: another reading may differ. */
  readonly backfilledFrames: number;
  /** The highest frame that each group of readers may use; the first is that of readers of the database file alone. */
  readonly readMarks: readonly number[];
}

export type WalIndexReading =
  | { readonly kind: 'index'; readonly index: WalIndex }
  /** A writer is between the two copies, or was killed there. */
  | { readonly kind: 'torn' }
  /** Nobody has recovered the WAL since the file was made. */
  | { readonly kind: 'not-initialised' }
  /** Both copies are equal, and not what this version of the format has. */
  | { readonly kind: 'invalid'; readonly why: string };

/**
 * Reads the head of a `-shm` file.
 *
 * @param bytes - the first 136 bytes of the file; fewer are a file that nobody has initialised
 * @param littleEndian - the byte order of the machine whose processes share the file
 */
export function readWalIndex(
  bytes: Uint8Array,
  littleEndian: boolean = LITTLE_ENDIAN_MACHINE,
): WalIndexReading {
  if (bytes.length < WAL_INDEX_BYTES) return { kind: 'not-initialised' };
  if (!areCopiesEqual(bytes)) return { kind: 'torn' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_INDEX_BYTES);
  if (view.getUint8(AT.isInitialised) === 0) return { kind: 'not-initialised' };
  const checksum = wordsAt(view, AT.checksum, littleEndian);
  if (!checksumsEqual(checksum, walChecksum(CHECKSUM_START, bytes, 0, CHECKSUMMED_BYTES, !littleEndian)))
    return { kind: 'torn' };
  const version = view.getUint32(AT.version, littleEndian);
  if (version !== FORMAT_VERSION) return { kind: 'invalid', why: `format version ${version}` };
  const pageSizeBytes = pageSizeOf(view.getUint16(AT.pageSize, littleEndian));
  const index = decode(view, pageSizeBytes, littleEndian);
  // A recovery learns the page size from the header of the WAL, which an empty WAL does not have.
  const isUnknown = pageSizeBytes === 0 && index.frames === 0;
  if (!isUnknown && !isPageSize(pageSizeBytes)) return { kind: 'invalid', why: `page size ${pageSizeBytes}` };
  return { kind: 'index', index };
}

function areCopiesEqual(bytes: Uint8Array): boolean {
  for (let at = 0; at < HEADER_BYTES; at++) if (bytes[at] !== bytes[HEADER_BYTES + at]) return false;
  return true;
}

/** 65,536 does not fit into 16 bits, so its seventeenth bit is kept in the lowest. */
function pageSizeOf(stored: number): number {
  return (stored & 0xfe00) | ((stored & 1) << 16);
}

function wordsAt(view: DataView, at: number, littleEndian: boolean): Checksum {
  return [view.getUint32(at, littleEndian), view.getUint32(at + 4, littleEndian)];
}

function decode(view: DataView, pageSizeBytes: number, littleEndian: boolean): WalIndex {
  return {
    change: view.getUint32(AT.change, littleEndian),
    frames: view.getUint32(AT.frames, littleEndian),
    pageCount: view.getUint32(AT.pageCount, littleEndian),
    pageSizeBytes,
    bigEndianChecksum: view.getUint8(AT.bigEndianChecksum) !== 0,
    frameChecksum: wordsAt(view, AT.frameChecksum, littleEndian),
    salt1: view.getUint32(AT.salts),
    salt2: view.getUint32(AT.salts + 4),
    backfilledFrames: view.getUint32(AT.backfilled, littleEndian),
    readMarks: Array.from({ length: READ_MARKS }, (_, i) =>
      view.getUint32(AT.readMarks + 4 * i, littleEndian),
    ),
  };
}

/** What `encodeWalIndex` makes a whole head of. */
export type WalIndexFields = Omit<WalIndex, 'readMarks'> & { readonly readMarks?: readonly number[] };

/** Writes the head of a `-shm` file as SQLite does, with both copies equal and the checksum computed. */
export function encodeWalIndex(
  index: WalIndexFields,
  littleEndian: boolean = LITTLE_ENDIAN_MACHINE,
): Uint8Array {
  const bytes = new Uint8Array(WAL_INDEX_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(AT.version, FORMAT_VERSION, littleEndian);
  view.setUint32(AT.change, index.change, littleEndian);
  view.setUint8(AT.isInitialised, 1);
  view.setUint8(AT.bigEndianChecksum, index.bigEndianChecksum ? 1 : 0);
  view.setUint16(AT.pageSize, (index.pageSizeBytes & 0xfe00) | (index.pageSizeBytes >>> 16), littleEndian);
  view.setUint32(AT.frames, index.frames, littleEndian);
  view.setUint32(AT.pageCount, index.pageCount, littleEndian);
  view.setUint32(AT.frameChecksum, index.frameChecksum[0], littleEndian);
  view.setUint32(AT.frameChecksum + 4, index.frameChecksum[1], littleEndian);
  view.setUint32(AT.salts, index.salt1);
  view.setUint32(AT.salts + 4, index.salt2);
  const checksum = walChecksum(CHECKSUM_START, bytes, 0, CHECKSUMMED_BYTES, !littleEndian);
  view.setUint32(AT.checksum, checksum[0], littleEndian);
  view.setUint32(AT.checksum + 4, checksum[1], littleEndian);
  bytes.copyWithin(HEADER_BYTES, 0, HEADER_BYTES);
  view.setUint32(AT.backfilled, index.backfilledFrames, littleEndian);
  for (const [i, mark] of (index.readMarks ?? []).entries())
    view.setUint32(AT.readMarks + 4 * i, mark, littleEndian);
  return bytes;
}
