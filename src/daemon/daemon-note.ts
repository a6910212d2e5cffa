/** A note about a database: which process replicates it, and where that can be asked. */
import { join } from 'node:path';

import { type Files, readFileWhole, replaceFile, systemFiles } from '../base/files.ts';

const VERSION = 1;

export interface DaemonNote {
  readonly pid: number;
  /** The control socket. */
  readonly socket: string;
}

/** In the state directory of the database. */
export function notePath(metaPath: string): string {
  return join(metaPath, 'daemon.json');
}

/** @param files - how `path` is reached. @throws Error as the file system does */
export function writeDaemonNote(files: Files, path: string, note: DaemonNote): void {
  const bytes = Buffer.from(`${JSON.stringify({ version: VERSION, ...note })}\n`);
  replaceFile(files, path, bytes, { durable: false });
}

export function removeDaemonNote(files: Files, path: string): void {
  files.remove(path);
}

/** @returns undefined when there is none, or none that this version can read. @throws Error as the file system does */
export function readDaemonNote(path: string, files: Files = systemFiles): DaemonNote | undefined {
  const bytes = readFileWhole(files, path);
  if (bytes === undefined) return undefined;
  try {
    const raw = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown> | null;
    if (raw?.['version'] !== VERSION) return undefined;
    const { pid, socket } = raw;
    return typeof pid === 'number' && typeof socket === 'string' ? { pid, socket } : undefined;
  } catch {
    return undefined;
  }
}
