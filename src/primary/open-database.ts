/** Everything that is open while one live database file is being followed; acquired and released as one. */
import { RivuletError } from '../base/errors.ts';
import type { WalIndex } from '../wal/wal-index.ts';
import { type Connections, explainSqliteError } from './connections.ts';
import type { DatabaseClaim } from './database-claim.ts';
import { DatabaseFile, realPathOf } from './database-file.ts';
import { connectionsOpened } from './kept-descriptors.ts';
import { LiveIndex } from './live-index.ts';
import { LiveWal } from './live-wal.ts';
import { isOfEnded, LogTail, type TailStart } from './log-tail.ts';
import { type Machine, systemMachine } from './machine.ts';
import { assertFramesUnaltered, assertSwitchable } from './page-checksums.ts';

/** How often a header that does not belong to the WAL index is read again: a writer may be restarting the WAL this moment. */
const HEADER_ATTEMPTS = 20;
/** How often the recovery of an index that a killed writer left half written is tried. */
const RECOVERY_ATTEMPTS = 3;

export interface OpenDatabase {
  readonly file: DatabaseFile;
  readonly connections: Connections;
  readonly wal: LiveWal;
  readonly index: LiveIndex;
  readonly machine: Machine;
  /**
   * The WAL index as it is now. One that a killed writer left half written is recovered, as any reader would do it.
   *
   * @throws RivuletError `DB_BUSY` when a writer stands still in the middle of publishing, `DB_UNREADABLE`
   */
  published(): WalIndex;
  /**
   * Opens one more read transaction, for a reader with a life of its own (a snapshot). Call `end` once. The files stay open as long as it
   * does, also after `close`: closing them would drop its lock.
   */
  openReader(): { end(): void };
  /** Takes the lock of the file again where somebody has removed it. @throws RivuletError `DB_IN_USE` */
  keepClaim(): void;
  close(): void;
}

/**
 * Opens the file, then the connections, begins a read transaction, and then opens the WAL index.
 *
 * @throws RivuletError `DB_INVALID`, `DB_UNREADABLE`, `DB_BUSY`; nothing stays open then
 */
export function openDatabase(
  path: string,
  busyTimeoutMs: number,
  machine: Machine = systemMachine,
): OpenDatabase {
  const { files } = machine;
  const file = new DatabaseFile(path, files);
  const realPath = realPathOf(path, files);
  const wal = new LiveWal(`${realPath}-wal`, files);
  let connections: Connections | undefined;
  let index: LiveIndex | undefined;
  let claim: DatabaseClaim | undefined;
  const isOver = connectionsOpened(files, file.identity);
  const close = (): void => {
    wal.close();
    connections?.close();
    file.close();
    index?.close();
    isOver();
    claim?.release();
  };
  try {
    assertSwitchable(path, file.header);
    claim = machine.claimDatabase(path, file.identity);
    if (file.header.walMode) machine.makeSidecars(path);
    connections = machine.openConnections(path, busyTimeoutMs);
    connections.hold();
    index = new LiveIndex(`${realPath}-shm`, file.identity, files);
    const reading = index.read();
    if (reading.kind === 'index') assertFramesUnaltered(wal, file.header, reading.index);
  } catch (error) {
    close();
    throw explainSqliteError(error, path);
  }
  const parts = { connections, index };
  const openReader = (): { end(): void } => {
    const isReaderOver = connectionsOpened(files, file.identity);
    const reader = beginReader(parts.connections, isReaderOver);
    return {
      end: () => {
        reader.end();
        isReaderOver();
      },
    };
  };
  return {
    file,
    wal,
    machine,
    ...parts,
    keepClaim: () => claim?.keep(),
    published: () => readPublished(path, { ...parts, file }),
    openReader,
    close,
  };
}

function beginReader(connections: Connections, isOver: () => void): { end(): void } {
  try {
    return connections.openReader();
  } catch (error) {
    isOver();
    throw error;
  }
}

function readPublished(
  path: string,
  { connections, index, file }: Pick<OpenDatabase, 'connections' | 'index' | 'file'>,
): WalIndex {
  for (let attempt = 0; ; attempt++) {
    const reading = index.read();
    if (reading.kind === 'index') return reading.index;
    if (reading.kind === 'invalid')
      throw new RivuletError('DB_UNREADABLE', `${index.path} cannot be used: ${reading.why}`, {
        hint: 'Another version of SQLite may have the database open. Restart the applications that use it.',
      });
    if (attempt >= RECOVERY_ATTEMPTS)
      throw new RivuletError('DB_BUSY', `the WAL index of ${path} is being written and cannot be read yet`);
    // A recovery decides whether the last writer has committed. Of a database without a name nobody would learn of that.
    if (!file.isCurrent())
      throw new RivuletError('DB_BUSY', `${path} was removed while its WAL index was being written`);
    connections.recoverIndex();
  }
}

/** Frames are published, and the file has no header that belongs to them. */
export function walUnreadable({ wal }: OpenDatabase, { frames }: WalIndex): RivuletError {
  return new RivuletError(
    'DB_UNREADABLE',
    `${wal.path} cannot be read: ${frames} committed frames are in it, and what is there does not lead through them`,
    {
      hint:
        'Somebody has removed, cut or overwritten the file while the database is in use. Restart the application, and ' +
        'compare the database with the last restore.',
    },
  );
}

/**
 * Reads the whole present WAL from its start, again if it is restarted meanwhile.
 *
 * @throws RivuletError `DB_BUSY`, `DB_UNREADABLE`
 */
export async function readLog(database: OpenDatabase, from: Omit<TailStart, 'reading'>): Promise<LogTail> {
  const { wal, machine, file } = database;
  const source = { wal, pageSizeBytes: file.header.pageSizeBytes, published: () => database.published() };
  for (let attempt = 0; ; attempt++) {
    const published = database.published();
    const isBegun = published.frames > 0 && !isOfEnded(published, from.after);
    const tail = new LogTail(source, { ...from, reading: isBegun ? wal.header() : undefined });
    if (tail.isLogOf(published)) {
      await tail.begin(machine.pause);
      if (tail.isSameLog()) {
        if (tail.hasAtLeast(published)) return tail;
        if (tail.isLogOf(database.published())) throw walUnreadable(database, published);
      }
    } else if (attempt >= HEADER_ATTEMPTS) {
      throw walUnreadable(database, published);
    }
    wal.refresh();
    await machine.pause();
  }
}
