/**
 * Databases of SQLite's checksum VFS. It keeps a checksum of each page in eight reserved bytes at its end, and verifies it in every
 * database that has so many. The SQLite of this process has no such VFS.
 */
import { RivuletError } from '../base/errors.ts';
import type { DatabaseHeader } from '../wal/database-header.ts';
import { frameBytes, hasSaltsOf, scanFrames, startChain } from '../wal/frames.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';
import type { LiveWal } from './live-wal.ts';

const CHECKSUM_BYTES = 8;

/**
 * The switch to WAL mode is the only thing that is ever written, into page 1, whose checksum would not be renewed: the application
 * could not read its database any more.
 *
 * @throws RivuletError `DB_UNREADABLE` when the switch would spoil the database
 */
export function assertSwitchable(path: string, header: DatabaseHeader): void {
  if (header.walMode || header.reservedBytes !== CHECKSUM_BYTES) return;
  throw new RivuletError(
    'DB_UNREADABLE',
    `${path} is not in WAL mode and keeps ${CHECKSUM_BYTES} reserved bytes in each page, as SQLite's checksum VFS does: ` +
      'switching it from here would spoil the checksum of its first page',
    { hint: 'Let the application, which has that VFS, run "PRAGMA journal_mode=WAL" once.' },
  );
}

/**
 * While it writes a page to the WAL the VFS puts the page's checksum into it, after SQLite has made the checksum of the frame. Nobody
 * can prove such a frame, and SQLite itself drops it when it recovers the WAL after a crash.
 *
 * @throws RivuletError `DB_UNREADABLE` when the first frame of the WAL shows that
 */
export function assertFramesUnaltered(
  wal: LiveWal,
  { pageSizeBytes, reservedBytes }: DatabaseHeader,
  { frames, salt1, salt2 }: WalIndex,
): void {
  if (reservedBytes !== CHECKSUM_BYTES || frames === 0) return;
  const header = wal.header()?.header;
  if (header?.salt1 !== salt1 || header.salt2 !== salt2) return;
  const frame = new Uint8Array(frameBytes(pageSizeBytes));
  if (wal.read(frame, WAL_HEADER_BYTES) < frame.length || !hasSaltsOf(header, frame, 0)) return;
  if (scanFrames(startChain(header), frame).stop !== 'checksum') return;
  throw new RivuletError(
    'DB_UNREADABLE',
    `the frames of ${wal.path} do not have the checksums that belong to them: the application uses SQLite's checksum VFS, ` +
      'which changes pages while it writes them to the WAL',
    {
      hint:
        'Such a database cannot be replicated, and SQLite would lose its WAL in a crash, too. Let the application open it ' +
        'without that VFS.',
    },
  );
}
