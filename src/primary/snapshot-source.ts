/**
 * A consistent copy of the live database at one position: pages from the database file, overlaid with the newest
 * frame of each page in the log up to that position. A read transaction at the position keeps checkpoints from
 * writing anything newer into the file; a page that is being checkpointed this moment is in the log and is taken
 * from there, so no torn page is ever read.
 *
 * When the log is restarted meanwhile, all of it was in the file when the transaction began (nothing else lets a
 * writer restart it), and nothing can be checkpointed over the file until the transaction ends: from then on the
 * file alone is the copy.
 */
import type { Position } from '../generations/names.ts';
import {
  type Chain,
  FRAME_HEADER_BYTES,
  frameBytes,
  framePage,
  scanFrames,
  startChain,
  viewOf,
} from '../wal/frames.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import { RivuletError } from '../base/errors.ts';
import type { DatabaseFile } from './database-file.ts';
import type { LiveWal } from './live-wal.ts';
import { PageIndex } from './page-index.ts';
import { readAgain, type ReadAgainDeps } from './read-again.ts';
import { type LogEnd, logEndOf } from './resume-point.ts';

/** Size of the pieces that the copy is read and handed on in. */
const PIECE_BYTES = 1024 * 1024;

export interface Snapshot {
  readonly position: Position;
  readonly pageSizeBytes: number;
  readonly pageCount: number;
  /** The log up to which it goes, at `position`; undefined while that log holds no frame. */
  readonly end: LogEnd | undefined;
  /** Where the log before it ended; undefined when that is not known. */
  readonly previousEnd: LogEnd | undefined;
  /** The pages in order. To be read once; each piece is good until the next one is asked for. */
  pages(): AsyncIterable<Uint8Array>;
  /** Ends the read transaction, or removes the copy. Call once, also after a failure. */
  close(): void;
}

export interface SnapshotSourceParts extends ReadAgainDeps {
  readonly file: DatabaseFile;
  readonly wal: LiveWal;
  /** The log up to which the copy goes. */
  readonly tail: Chain;
  readonly index: number;
  /** Database size in pages by the last commit in the log; 0 when the log holds no commit. */
  readonly commitPageCount: number;
  /** Where the log before ended, as far as known. */
  readonly previousEnd: LogEnd | undefined;
  readonly endRead: () => void;
  /** Whether the file still holds the log that `tail` belongs to. */
  readonly isSameLog: () => boolean;
  /** Lets other work run. */
  readonly pause: () => Promise<void>;
}

function pagesInFile(parts: SnapshotSourceParts): number {
  return Math.floor(parts.file.sizeBytes() / parts.tail.header.pageSizeBytes);
}

/** Reads the frames before `tail` and notes the newest of each page. @throws RivuletError `WAL_INVALID` */
async function indexPages(parts: SnapshotSourceParts): Promise<PageIndex> {
  const index = new PageIndex();
  const { tail, wal } = parts;
  const size = frameBytes(tail.header.pageSizeBytes);
  const most = Math.max(size, Math.floor((4 * PIECE_BYTES) / size) * size);
  const buffer = new Uint8Array(Math.min(most, tail.offsetBytes - WAL_HEADER_BYTES));
  let chain = startChain(tail.header);
  while (chain.offsetBytes < tail.offsetBytes) {
    const piece = buffer.subarray(0, Math.min(buffer.length, tail.offsetBytes - chain.offsetBytes));
    const from = chain;
    const scan = await readAgain(() => scanFrames(from, piece, 0, wal.read(piece, from.offsetBytes)), parts);
    if (scan.validBytes < piece.length) {
      if (!(await readAgain(() => parts.isSameLog(), parts))) return new PageIndex();
      throw new RivuletError(
        'WAL_INVALID',
        `the log changed under a snapshot at offset ${scan.chain.offsetBytes}`,
      );
    }
    noteFrames(index, piece, chain.offsetBytes, size);
    chain = scan.chain;
    await parts.pause();
  }
  return index;
}

function noteFrames(index: PageIndex, piece: Uint8Array, offsetBytes: number, size: number): void {
  const view = viewOf(piece);
  for (let at = 0; at < piece.length; at += size) index.set(framePage(view, at), offsetBytes + at);
}

async function* readPages(parts: SnapshotSourceParts, pageCount: number): AsyncIterable<Uint8Array> {
  const { pageSizeBytes } = parts.tail.header;
  let overlay = parts.tail.offsetBytes > WAL_HEADER_BYTES ? await indexPages(parts) : new PageIndex();
  const perPiece = Math.max(1, Math.floor(PIECE_BYTES / pageSizeBytes));
  const buffer = new Uint8Array(Math.min(perPiece, pageCount) * pageSizeBytes);
  for (let first = 1; first <= pageCount; first += perPiece) {
    const pages = Math.min(perPiece, pageCount - first + 1);
    const piece = buffer.subarray(0, pages * pageSizeBytes);
    const used = overlay;
    const isOverlaid = await readAgain(() => readPiece(parts, used, piece, first), parts);
    if (!isOverlaid) overlay = new PageIndex();
    yield piece;
    await parts.pause();
  }
}

/** Returns false when the log was restarted: then the file alone is the copy, and is what was read. */
function readPiece(
  parts: SnapshotSourceParts,
  overlay: PageIndex,
  piece: Uint8Array,
  first: number,
): boolean {
  const offsetBytes = (first - 1) * parts.tail.header.pageSizeBytes;
  parts.file.read(piece, offsetBytes);
  if (overlay.size === 0 || overlayPages(parts, overlay, piece, first)) return true;
  parts.file.read(piece, offsetBytes);
  return false;
}

/** Answers false when the log was restarted before or while its pages were read: a restart writes the header first. */
function overlayPages(
  parts: SnapshotSourceParts,
  overlay: PageIndex,
  piece: Uint8Array,
  first: number,
): boolean {
  const { pageSizeBytes } = parts.tail.header;
  for (let at = 0; at < piece.length; at += pageSizeBytes) {
    const offset = overlay.get(first + at / pageSizeBytes);
    if (offset === undefined) continue;
    const page = piece.subarray(at, at + pageSizeBytes);
    if (parts.wal.read(page, offset + FRAME_HEADER_BYTES) < page.length) return false;
  }
  return parts.isSameLog();
}

export function makeSnapshot(parts: SnapshotSourceParts): Snapshot {
  const { tail } = parts;
  const pageCount = parts.commitPageCount || pagesInFile(parts);
  return {
    position: { index: parts.index, offsetBytes: tail.offsetBytes },
    pageSizeBytes: tail.header.pageSizeBytes,
    pageCount,
    // An empty log gets another header with other salts when the next writer never restarted a log.
    end: tail.offsetBytes > WAL_HEADER_BYTES ? logEndOf(tail) : undefined,
    previousEnd: parts.previousEnd,
    pages: () => readPages(parts, pageCount),
    close: parts.endRead,
  };
}
