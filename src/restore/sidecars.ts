/**
 * What lies beside an output: SQLite would read a `-wal`, `-shm` or `-journal` of another database with the restored one. Files that
 * it would never apply are no reason to refuse a restore, as after a volume has lost the database alone.
 */
import { lstatSync } from 'node:fs';
import { readFully, systemFiles } from '../base/files.ts';
import { FRAME_HEADER_BYTES } from '../wal/frames.ts';
import { WAL_HEADER_BYTES } from '../wal/wal-header.ts';

/** Smaller files hold no whole frame, whatever the page size. */
const ONE_FRAME_BYTES = WAL_HEADER_BYTES + FRAME_HEADER_BYTES + 512;

export interface Sidecars {
  /** Suffixes of what SQLite would apply, or of what is no file. */
  readonly harmful: readonly string[];
  /** Suffixes of files that hold nothing for SQLite. */
  readonly harmless: readonly string[];
}

/** @throws what the file system does */
export function sidecarsOf(path: string): Sidecars {
  const harmful: string[] = [];
  const harmless: string[] = [];
  for (const [suffix, holdsNothing] of Object.entries(HOLDS_NOTHING)) {
    const stats = lstatSync(path + suffix, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    const isHarmless = stats.isFile() && holdsNothing(path + suffix, stats.size);
    (isHarmless ? harmless : harmful).push(suffix);
  }
  return { harmful, harmless };
}

const HOLDS_NOTHING: Readonly<Record<string, (path: string, sizeBytes: number) => boolean>> = {
  '-wal': (_path, sizeBytes) => sizeBytes < ONE_FRAME_BYTES,
  // An index of the WAL: SQLite makes it again from the WAL.
  '-shm': () => true,
  // A journal that was ended begins with zeros, or is empty.
  '-journal': (path, sizeBytes) => sizeBytes === 0 || firstByte(path) === 0,
};

function firstByte(path: string): number {
  const descriptor = systemFiles.openOwn(path);
  try {
    const byte = new Uint8Array(1);
    readFully(systemFiles, descriptor, byte, 0);
    return byte[0] ?? 0;
  } finally {
    systemFiles.close(descriptor);
  }
}
