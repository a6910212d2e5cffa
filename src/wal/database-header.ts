/** The 100-byte header at the start of a database file (sqlite.org/fileformat2.html, section 1.3). */
import { RivuletError } from '../base/errors.ts';
import { isPageSize } from './wal-header.ts';

export const DATABASE_HEADER_BYTES = 100;
const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');

export interface DatabaseHeader {
  readonly pageSizeBytes: number;
  /** Pages the file should have; 0 when the writer did not keep it (SQLite before 3.7.0). */
  readonly pageCount: number;
  /** Whether `pageCount` counts: a program that did not know the field would have left an old number there. */
  readonly isPageCountValid: boolean;
  /** Whether both format versions say write-ahead log (2); false means rollback journal (1). */
  readonly walMode: boolean;
  /** At the end of each page, for extensions of SQLite. */
  readonly reservedBytes: number;
}

/**
 * Reads the header.
 *
 * @param bytes - the first 100 bytes of a database file or snapshot
 * @param what - how to call the file in the message
 * @throws RivuletError `DB_INVALID` when this is no plain SQLite database
 */
export function parseDatabaseHeader(bytes: Uint8Array, what: string = 'the file'): DatabaseHeader {
  if (bytes.length < DATABASE_HEADER_BYTES) {
    throw new RivuletError(
      'DB_INVALID',
      `${what} is not a SQLite database: it has only ${bytes.length} bytes`,
    );
  }
  if (MAGIC.compare(bytes, 0, MAGIC.length) !== 0) {
    throw new RivuletError('DB_INVALID', `${what} is not a SQLite database, or it is encrypted`, {
      hint: 'A plain SQLite database begins with "SQLite format 3".',
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, DATABASE_HEADER_BYTES);
  const stored = view.getUint16(16);
  const pageSizeBytes = stored === 1 ? 65536 : stored;
  if (!isPageSize(pageSizeBytes)) {
    throw new RivuletError('DB_INVALID', `${what} has a corrupt header: page size ${stored}`, {
      hint: 'A page size is a power of two from 512 to 65536. Restore the database from a replica.',
    });
  }
  return {
    pageSizeBytes,
    pageCount: view.getUint32(28),
    isPageCountValid: view.getUint32(28) > 0 && view.getUint32(24) === view.getUint32(92),
    walMode: view.getUint8(18) === 2 && view.getUint8(19) === 2,
    reservedBytes: view.getUint8(20),
  };
}

/** Number of the page that holds byte 1,073,741,824; SQLite never stores data in it (section 1.2). */
export function lockPageNumber(pageSizeBytes: number): number {
  return Math.floor(0x40000000 / pageSizeBytes) + 1;
}
