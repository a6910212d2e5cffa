/**
 * Notes like those in the state directories, at a place that follows from the database's real path alone: they are found also while there
 * is no state directory, or another one has taken its place.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { PrivateDirectory } from '../base/private-directory.ts';
import { openRuntimeDirectory, runtimeDirectories, runtimeWorld } from '../base/runtime-directory.ts';
import { futureRealPath } from '../config/state-place.ts';
import { type DaemonNote, readDaemonNote, removeDaemonNote, writeDaemonNote } from './daemon-note.ts';

/** Stands for a database in names of files. */
export function runtimeName(databasePath: string): string {
  return createHash('sha256').update(futureRealPath(databasePath)).digest('hex').slice(0, 16);
}

function fileOf(databasePath: string): string {
  return `${runtimeName(databasePath)}.json`;
}

/**
 * Writes a note where that is possible.
 *
 * @param isOwn - whether the database is known to belong to this process; otherwise the note of another living one stays
 */
export function writeRuntimeNote(databasePath: string, note: DaemonNote, isOwn: boolean): void {
  inDirectories((directory) => {
    const path = join(directory.path, fileOf(databasePath));
    if (!isOwn && isOfAnother(readDaemonNote(path, directory.files), note.pid)) return true;
    writeDaemonNote(directory.files, path, note);
    return true;
  });
}

/** Removes the notes of this process. */
export function removeRuntimeNotes(databasePath: string, pid: number): void {
  inDirectories((directory) => {
    const path = join(directory.path, fileOf(databasePath));
    if (readDaemonNote(path, directory.files)?.pid === pid) removeDaemonNote(directory.files, path);
    return false;
  });
}

/** Those of all places. */
export function readRuntimeNotes(databasePath: string): readonly DaemonNote[] {
  const notes: DaemonNote[] = [];
  inDirectories((directory) => {
    const note = readDaemonNote(join(directory.path, fileOf(databasePath)), directory.files);
    if (note !== undefined) notes.push(note);
    return false;
  });
  return notes;
}

/** @param work - returns whether it is enough. A place that cannot be used is left out */
function inDirectories(work: (directory: PrivateDirectory) => boolean): void {
  for (const place of runtimeDirectories(runtimeWorld())) {
    try {
      using directory = openRuntimeDirectory(place);
      if (work(directory)) return;
    } catch {
      // The next one, or none: the note in the state directory is there, too.
    }
  }
}

function isOfAnother(note: DaemonNote | undefined, pid: number): boolean {
  if (note === undefined || note.pid === pid) return false;
  try {
    process.kill(note.pid, 0);
    return true;
  } catch {
    return false;
  }
}
