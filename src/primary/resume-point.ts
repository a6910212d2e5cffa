/** From the last segment that a destination holds to the place where the next one begins. Pure. */
import type { Position } from '../generations/names.ts';
import type { Checksum } from '../wal/checksum.ts';
import { type Chain, frameBytes, viewOf } from '../wal/frames.ts';
import { parseWalHeader, WAL_HEADER_BYTES, type WalHeader } from '../wal/wal-header.ts';

/**
 * The chain behind a segment, read from its last frame: a frame's header carries the salts and the checksum of
 * everything before it (sqlite.org/fileformat2.html, section 4.1).
 *
 * @param present - the present log's header; gives page size and byte order, which a database does not change
 * @returns undefined when the bytes are not whole frames
 */
export function chainAfterSegment(present: WalHeader, start: Position, bytes: Uint8Array): Chain | undefined {
  const size = frameBytes(present.pageSizeBytes);
  const headerBytes = start.offsetBytes === 0 ? WAL_HEADER_BYTES : 0;
  if (bytes.length < headerBytes || (bytes.length - headerBytes) % size !== 0) return undefined;
  const offsetBytes = start.offsetBytes + bytes.length;
  if (bytes.length === headerBytes) return headerOnly(bytes, offsetBytes);
  const view = viewOf(bytes);
  const last = bytes.length - size;
  return {
    header: { ...present, salt1: view.getUint32(last + 8), salt2: view.getUint32(last + 12) },
    offsetBytes,
    checksum: [view.getUint32(last + 16), view.getUint32(last + 20)],
  };
}

function headerOnly(bytes: Uint8Array, offsetBytes: number): Chain | undefined {
  if (bytes.length !== WAL_HEADER_BYTES) return undefined;
  const header = parseWalHeader(bytes);
  return { header, offsetBytes, checksum: header.checksum };
}

/** Where a stretch of a log ends, in a form that can be written down. */
export interface LogEnd {
  readonly offsetBytes: number;
  readonly salts: readonly [number, number];
  readonly checksum: Checksum;
}

export function logEndOf({ header, offsetBytes, checksum }: Chain): LogEnd {
  return { offsetBytes, salts: [header.salt1, header.salt2], checksum };
}

/** The chain at an end that was written down. @param present - as in `chainAfterSegment` */
export function chainAtLogEnd(present: WalHeader, { offsetBytes, salts, checksum }: LogEnd): Chain {
  return { header: { ...present, salt1: salts[0], salt2: salts[1] }, offsetBytes, checksum };
}

/** @throws TypeError when it is not what `JSON.stringify` made of an end */
export function parseLogEnd(value: unknown): LogEnd {
  const { offsetBytes, salts, checksum } = (value ?? {}) as Partial<LogEnd>;
  const isOffset = typeof offsetBytes === 'number' && Number.isSafeInteger(offsetBytes) && offsetBytes >= 0;
  if (isOffset && isWordPair(salts) && isWordPair(checksum)) return { offsetBytes, salts, checksum };
  throw new TypeError('an end is not as expected');
}

function isWordPair(value: unknown): value is readonly [number, number] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((word) => Number.isSafeInteger(word) && word >= 0 && word <= 0xffffffff)
  );
}

export function isSameLogEnd(one: LogEnd, other: LogEnd): boolean {
  const words = (end: LogEnd): string => [end.offsetBytes, ...end.salts, ...end.checksum].join(' ');
  return words(one) === words(other);
}
