/**
 * The frames of a write-ahead log (sqlite.org/fileformat2.html, section 4.1 and 4.2). A frame is valid when its
 * salts are the header's and its checksum continues the chain; a frame whose commit field is not zero ends a
 * transaction. Everything here is pure: bytes in, facts out, nothing allocated per frame.
 */
import { CHECKSUM_START, type Checksum, walChecksum } from './checksum.ts';
import { WAL_HEADER_BYTES, type WalHeader } from './wal-header.ts';

export const FRAME_HEADER_BYTES = 24;
const FRAME_CHECKSUMMED_HEADER_BYTES = 8;

/** Where a reader stands in one log, and what the next frame must continue. */
export interface Chain {
  readonly header: WalHeader;
  /** Byte offset of the next frame in the log. */
  readonly offsetBytes: number;
  readonly checksum: Checksum;
}

/** Why a scan stopped. `end`: no further whole frame in the bytes given. */
export type ScanStop = 'end' | 'salt' | 'checksum' | 'page-number';

export interface FrameScan {
  /** Bytes of valid frames, from the start of the scan. */
  readonly validBytes: number;
  /** Bytes up to and with the last commit frame; 0 when no transaction ends in them. */
  readonly committedBytes: number;
  /** Chain after the last valid frame. */
  readonly chain: Chain;
  /** Chain after the last commit frame; the one given when there is none. */
  readonly committedChain: Chain;
  /** Database size in pages after the last commit; 0 when there is none. */
  readonly commitPageCount: number;
  /** How many transactions end in them. */
  readonly commits: number;
  /**
   * A commit frame was the same as the frame before it. With `synchronous=FULL` SQLite pads a commit like that up to the end of
   * a disk sector, unless the file system keeps sectors whole (`psow`; sqlite.org/uri.html), so frames do not count commits.
   */
  readonly isPadded: boolean;
  readonly stop: ScanStop;
}

export function frameBytes(pageSizeBytes: number): number {
  return FRAME_HEADER_BYTES + pageSizeBytes;
}

/** Size of a log that holds `frames` frames. */
export function walBytes(frames: number, pageSizeBytes: number): number {
  return WAL_HEADER_BYTES + frames * frameBytes(pageSizeBytes);
}

/** The chain before the first frame of the log with this header. */
export function startChain(header: WalHeader): Chain {
  return { header, offsetBytes: WAL_HEADER_BYTES, checksum: header.checksum };
}

/** Database size in pages if the frame at `at` ends a transaction, else 0. */
export function frameCommit(view: DataView, at: number): number {
  return view.getUint32(at + 4);
}

export function framePage(view: DataView, at: number): number {
  return view.getUint32(at);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether a frame with the salts of this log begins at `bytes[at]`. */
export function hasSaltsOf(
  { salt1, salt2 }: Pick<WalHeader, 'salt1' | 'salt2'>,
  bytes: Uint8Array,
  at: number,
): boolean {
  const view = viewOf(bytes);
  return view.getUint32(at + 8) === salt1 && view.getUint32(at + 12) === salt2;
}

/** Whether the frame at `bytes[at]` is the one with which the chain ends: its header has the checksum of all before it. */
export function endsFrame(
  { header, checksum }: Pick<Chain, 'header' | 'checksum'>,
  bytes: Uint8Array,
  at: number,
): boolean {
  if (at < 0 || !hasSaltsOf(header, bytes, at)) return false;
  const view = viewOf(bytes);
  return view.getUint32(at + 16) === checksum[0] && view.getUint32(at + 20) === checksum[1];
}

/**
 * Checks frames one after another from `bytes[start]`, which lies at `chain.offsetBytes` in the log, until the
 * bytes end or a frame does not belong. `bytes` may end inside a frame.
 */
export function scanFrames(
  chain: Chain,
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.length,
): FrameScan {
  const { header } = chain;
  const size = frameBytes(header.pageSizeBytes);
  const view = viewOf(bytes);
  let checksum = chain.checksum;
  let committedChecksum = chain.checksum;
  let committedEnd = start;
  let commitPageCount = 0;
  let commits = 0;
  let isPadded = false;
  let at = start;
  let stop: ScanStop = 'end';
  for (; at + size <= end; at += size) {
    if (view.getUint32(at + 8) !== header.salt1 || view.getUint32(at + 12) !== header.salt2) {
      stop = 'salt';
      break;
    }
    if (view.getUint32(at) === 0) {
      stop = 'page-number';
      break;
    }
    const next = frameChecksum(checksum, bytes, at, size, header.bigEndianChecksum);
    if (view.getUint32(at + 16) !== next[0] || view.getUint32(at + 20) !== next[1]) {
      stop = 'checksum';
      break;
    }
    checksum = next;
    const commit = view.getUint32(at + 4);
    if (commit !== 0) {
      commits++;
      isPadded ||= at > start && isSameFrame(view, bytes, at - size, at, size);
      commitPageCount = commit;
      committedEnd = at + size;
      committedChecksum = next;
    }
  }
  return {
    validBytes: at - start,
    committedBytes: committedEnd - start,
    chain: { header, offsetBytes: chain.offsetBytes + at - start, checksum },
    committedChain: {
      header,
      offsetBytes: chain.offsetBytes + committedEnd - start,
      checksum: committedChecksum,
    },
    commitPageCount,
    commits,
    isPadded,
    stop,
  };
}

/** A commit frame as it may be repeated: by its page number, and a checksum over the page alone. */
export interface CommitFrame {
  readonly page: number;
  readonly sum: Checksum;
}

/** The frame at `bytes[at]`; undefined when it ends no transaction. */
export function commitFrameAt(bytes: Uint8Array, at: number, header: WalHeader): CommitFrame | undefined {
  const view = viewOf(bytes);
  if (frameCommit(view, at) === 0) return undefined;
  const end = at + frameBytes(header.pageSizeBytes);
  const sum = walChecksum(CHECKSUM_START, bytes, at + FRAME_HEADER_BYTES, end, header.bigEndianChecksum);
  return { page: framePage(view, at), sum };
}

/** Whether two frames are commits of the same page with the same content. */
function isSameFrame(view: DataView, bytes: Uint8Array, one: number, other: number, size: number): boolean {
  if (framePage(view, one) !== framePage(view, other) || frameCommit(view, one) === 0) return false;
  const pageOf = (at: number): Uint8Array => bytes.subarray(at + FRAME_HEADER_BYTES, at + size);
  return Buffer.compare(pageOf(one), pageOf(other)) === 0;
}

/** The chain's checksum after the frame at `bytes[at]`: over its first 8 header bytes, then its page. */
export function frameChecksum(
  seed: Checksum,
  bytes: Uint8Array,
  at: number,
  sizeBytes: number,
  bigEndian: boolean,
): Checksum {
  const afterHeader = walChecksum(seed, bytes, at, at + FRAME_CHECKSUMMED_HEADER_BYTES, bigEndian);
  return walChecksum(afterHeader, bytes, at + FRAME_HEADER_BYTES, at + sizeBytes, bigEndian);
}

/** Writes a frame's header and checksum around the page that already lies behind it in `bytes`. */
export function encodeFrameHeader(
  chain: Chain,
  bytes: Uint8Array,
  at: number,
  frame: { pageNumber: number; commitPageCount: number },
): Chain {
  const { header } = chain;
  const view = viewOf(bytes);
  view.setUint32(at, frame.pageNumber);
  view.setUint32(at + 4, frame.commitPageCount);
  view.setUint32(at + 8, header.salt1);
  view.setUint32(at + 12, header.salt2);
  const size = frameBytes(header.pageSizeBytes);
  const checksum = frameChecksum(chain.checksum, bytes, at, size, header.bigEndianChecksum);
  view.setUint32(at + 16, checksum[0]);
  view.setUint32(at + 20, checksum[1]);
  return { header, offsetBytes: chain.offsetBytes + size, checksum };
}
