/** Everything that is open while one live database file is being followed; acquired and released as one. */
import { RivuletError } from '../base/errors.ts';
import { type Connections, explainSqliteError } from './connections.ts';
import { DatabaseFile, realPathOf } from './database-file.ts';
import { type HeaderReading, LiveWal } from './live-wal.ts';
import { LogTail } from './log-tail.ts';
import { type Machine, systemMachine } from './machine.ts';

/** How often a log that is restarted under the first look is looked at again. */
const FIRST_LOOK_ATTEMPTS = 10;

export interface OpenDatabase {
  readonly file: DatabaseFile;
  readonly connections: Connections;
  readonly wal: LiveWal;
  readonly machine: Machine;
  close(): void;
}

/**
 * Opens the file, then the connections, then begins the read transaction that pins the log.
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
  let connections: Connections | undefined;
  const wal = new LiveWal(`${realPathOf(path, files)}-wal`, files);
  const close = (): void => {
    wal.close();
    connections?.close();
    file.close();
  };
  try {
    connections = machine.openConnections(path, busyTimeoutMs);
    connections.hold();
  } catch (error) {
    close();
    throw explainSqliteError(error, path);
  }
  return { file, connections, wal, machine, close };
}

/** The log's header; a frame that changes nothing is written when there is no log yet. @throws `DB_BUSY` */
export function requireLog(database: OpenDatabase): HeaderReading {
  for (let attempt = 0; attempt < FIRST_LOOK_ATTEMPTS; attempt++) {
    const reading = database.wal.header();
    if (reading !== undefined) return reading;
    database.connections.forceFrame();
    database.wal.refresh();
  }
  throw new RivuletError(
    'DB_BUSY',
    `${database.file.path} has no write-ahead log, and the write lock is not to be had`,
  );
}

/** Reads the whole present log from its start, again if it is restarted meanwhile. */
export async function readLog(database: OpenDatabase, index: number): Promise<LogTail> {
  for (;;) {
    const { wal, connections } = database;
    const tail = new LogTail(wal, index, requireLog(database), () => connections.publishedFrames());
    await tail.advance(database.machine.pause);
    if (tail.isSameLog()) return tail;
  }
}
