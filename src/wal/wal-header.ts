/** The 32-byte header of a write-ahead log (sqlite.org/fileformat2.html, section 4.1). */
import { RivuletError } from '../base/errors.ts';
import { CHECKSUM_START, type Checksum, checksumsEqual, walChecksum } from './checksum.ts';

export const WAL_HEADER_BYTES = 32;

const MAGIC_LITTLE_ENDIAN = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;
const FORMAT_VERSION = 3007000;
const CHECKSUMMED_BYTES = 24;

export interface WalHeader {
  readonly bigEndianChecksum: boolean;
  readonly pageSizeBytes: number;
  readonly checkpointSequence: number;
  /** Grows by one each time the log is restarted. */
  readonly salt1: number;
  /** Random at each restart. */
  readonly salt2: number;
  /** The header's own checksum; seeds the chain of the frames. */
  readonly checksum: Checksum;
}

export function isPageSize(bytes: number): boolean {
  return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) === 0;
}

function invalid(what: string): RivuletError {
  return new RivuletError('WAL_INVALID', `not a write-ahead log: ${what}`);
}

/**
 * Reads and checks a header.
 *
 * @param bytes - at least the first 32 bytes of the log
 * @throws RivuletError `WAL_INVALID` when it is short or anything in it is not as the format says
 */
export function parseWalHeader(bytes: Uint8Array): WalHeader {
  if (bytes.length < WAL_HEADER_BYTES) throw invalid(`the header has ${bytes.length} bytes, expected 32`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_HEADER_BYTES);
  const magic = view.getUint32(0);
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN)
    throw invalid(`magic 0x${magic.toString(16)}`);
  if (view.getUint32(4) !== FORMAT_VERSION) throw invalid(`format version ${view.getUint32(4)}`);
  const bigEndianChecksum = magic === MAGIC_BIG_ENDIAN;
  const checksum: Checksum = [view.getUint32(24), view.getUint32(28)];
  const computed = walChecksum(CHECKSUM_START, bytes, 0, CHECKSUMMED_BYTES, bigEndianChecksum);
  if (!checksumsEqual(checksum, computed)) throw invalid('the header checksum does not match');
  const pageSizeBytes = view.getUint32(8);
  if (!isPageSize(pageSizeBytes)) throw invalid(`page size ${pageSizeBytes}`);
  return {
    bigEndianChecksum,
    pageSizeBytes,
    checkpointSequence: view.getUint32(12),
    salt1: view.getUint32(16),
    salt2: view.getUint32(20),
    checksum,
  };
}

/** Writes a header; its checksum is computed, not taken from `header`. */
export function encodeWalHeader(header: Omit<WalHeader, 'checksum'>): Uint8Array {
  const bytes = new Uint8Array(WAL_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, header.bigEndianChecksum ? MAGIC_BIG_ENDIAN : MAGIC_LITTLE_ENDIAN);
  view.setUint32(4, FORMAT_VERSION);
  view.setUint32(8, header.pageSizeBytes);
  view.setUint32(12, header.checkpointSequence);
  view.setUint32(16, header.salt1);
  view.setUint32(20, header.salt2);
  const checksum = walChecksum(CHECKSUM_START, bytes, 0, CHECKSUMMED_BYTES, header.bigEndianChecksum);
  view.setUint32(24, checksum[0]);
  view.setUint32(28, checksum[1]);
  return bytes;
}

/** Whether `next` can only be the log that follows `previous`: salt-1 grew by exactly one. */
export function isNextLog(previous: { salt1: number }, next: { salt1: number }): boolean {
  return next.salt1 === (previous.salt1 + 1) >>> 0;
}
