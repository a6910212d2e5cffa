/** Where a reader stands in the chain of logs, and how it takes the next verified bytes from a source. */
import { RivuletError } from '../base/errors.ts';
import type { Position } from '../generations/names.ts';
import { type Chain, frameBytes, scanFrames, startChain } from '../wal/frames.ts';
import { parseWalHeader, WAL_HEADER_BYTES } from '../wal/wal-header.ts';

/** A place in log `index`; `chain` is undefined before the log's header has been read (offset 0). */
export interface Cursor {
  readonly index: number;
  readonly chain: Chain | undefined;
}

/** Anything that bytes of one log can be read from: the live file, or a spooled copy. */
export interface LogBytes {
  /** Fills `into` from `offsetBytes` of the log; answers how many bytes there were. */
  read(into: Uint8Array, offsetBytes: number): number;
  /**
   * The header that the log has, where the source could have turned to the next log unseen: without it, a reader at the
   * start of a log would take that one's header, and all that follows, for valid.
   */
  readonly header?: Uint8Array;
}

export function startOfLog(index: number): Cursor {
  return { index, chain: undefined };
}

export function positionOf(cursor: Cursor): Position {
  return { index: cursor.index, offsetBytes: cursor.chain?.offsetBytes ?? 0 };
}

export interface ReadLimits {
  readonly pageSizeBytes: number;
  /** Bound on the answer; one frame is always allowed. */
  readonly maxBytes: number;
  /** A buffer to use again; the answer then lies in it. */
  readonly into?: Uint8Array | undefined;
}

export interface VerifiedBytes {
  /** Bytes of the log from the cursor's offset, each frame checked; the header is among them at offset 0. */
  readonly bytes: Uint8Array;
  readonly cursor: Cursor;
}

function notTheLog(offsetBytes: number, why: string): RivuletError {
  return new RivuletError(
    'WAL_INVALID',
    `the log changed while it was read at offset ${offsetBytes}: ${why}`,
  );
}

function startsWith(bytes: Uint8Array, header: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, header.length), header) === 0;
}

/** The number of bytes to read: whole frames, no more than `maxBytes`, at least one frame. */
function spanBytes(cursor: Cursor, endBytes: number, pageSizeBytes: number, maxBytes: number): number {
  const wanted = endBytes - positionOf(cursor).offsetBytes;
  if (wanted <= maxBytes) return wanted;
  const header = cursor.chain === undefined ? WAL_HEADER_BYTES : 0;
  const frames = Math.max(1, Math.floor((maxBytes - header) / frameBytes(pageSizeBytes)));
  return header + frames * frameBytes(pageSizeBytes);
}

/**
 * Reads from the cursor towards `endBytes`, which is the end of a frame of the same log, and checks the salts
 * and the checksum chain of the very bytes it answers with.
 *
 * @throws RivuletError `WAL_INVALID` when the bytes do not continue the cursor's chain
 */
export function readVerified(
  source: LogBytes,
  cursor: Cursor,
  endBytes: number,
  limits: ReadLimits,
): VerifiedBytes {
  const from = positionOf(cursor).offsetBytes;
  const length = spanBytes(cursor, endBytes, limits.pageSizeBytes, limits.maxBytes);
  const bytes =
    limits.into !== undefined && limits.into.length >= length
      ? limits.into.subarray(0, length)
      : new Uint8Array(length);
  const read = source.read(bytes, from);
  if (source.header !== undefined && from === 0 && !startsWith(bytes, source.header)) {
    throw notTheLog(0, 'it is another log');
  }
  if (read < length) throw notTheLog(from + read, `it ends there, expected ${from + length}`);
  return { bytes, cursor: verifyBytes(cursor, bytes) };
}

/**
 * Checks that `bytes` continue `cursor` without rest, and answers with the cursor behind them.
 *
 * @throws RivuletError `WAL_INVALID`
 */
export function verifyBytes(cursor: Cursor, bytes: Uint8Array): Cursor {
  const chain = cursor.chain ?? startChain(parseWalHeader(bytes));
  const start = cursor.chain === undefined ? WAL_HEADER_BYTES : 0;
  const scan = scanFrames(chain, bytes, start);
  if (start + scan.validBytes !== bytes.length) {
    throw notTheLog(
      scan.chain.offsetBytes,
      scan.stop === 'end' ? 'half a frame' : `the ${scan.stop} does not match`,
    );
  }
  return { index: cursor.index, chain: scan.chain };
}
