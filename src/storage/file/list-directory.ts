import type { Dir, Dirent, Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemCode } from '../../base/errors.ts';
import { orAbort } from '../abandon.ts';
import { fileFailed } from '../storage-error.ts';
import { ignoringErrors, lstat, opendir, stat } from './file-system.ts';

/** The thread pool has four threads; a few more keep its queue filled. */
const STATS_AT_ONCE = 16;

/** Entries read and looked at together: a directory may hold a million, and each takes more memory than its object's entry. */
const ENTRIES_AT_ONCE = 1024;

/**
 * The entries of a directory, some at a time; none when it does not exist. "Does not exist" must be the truth: a path that
 * ends in nothing because a symbolic link on it leads nowhere (a disk that is not mounted) is a failure, for an empty
 * replica is something that is acted upon.
 *
 * @throws RivuletError `STORAGE_FAILED`; the signal's reason, also while the directory does not answer
 */
export async function* directoryEntries(
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Dirent[], void, undefined> {
  const directory = await openUnlessAborted(path, signal);
  if (directory === undefined) return;
  try {
    for (;;) {
      const entries = await orAbort(nextEntries(directory, path), signal);
      if (entries.length === 0) return;
      yield entries;
    }
  } finally {
    // Not awaited: a mount that hangs would never answer. Node.js closes it behind a read that is under way.
    void ignoringErrors(directory.close());
  }
}

/** What opens after nobody waits for it any more is closed. */
async function openUnlessAborted(path: string, signal: AbortSignal | undefined): Promise<Dir | undefined> {
  const opening = openUnlessAbsent(path);
  try {
    return await orAbort(opening, signal);
  } catch (error) {
    void ignoringErrors(opening.then(async (late) => late?.close()));
    throw error;
  }
}

async function openUnlessAbsent(path: string): Promise<Dir | undefined> {
  try {
    return await opendir(path, ENTRIES_AT_ONCE);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || !(await isReallyAbsent(path)))
      throw fileFailed('list', path, error);
    return undefined;
  }
}

async function nextEntries(directory: Dir, path: string): Promise<Dirent[]> {
  const entries: Dirent[] = [];
  try {
    while (entries.length < ENTRIES_AT_ONCE) {
      const entry = await directory.read();
      if (entry === null) break;
      entries.push(entry);
    }
  } catch (error) {
    throw fileFailed('list', path, error);
  }
  return entries;
}

/** Goes up to the nearest thing that exists and looks whether it is a directory to be absent from. */
async function isReallyAbsent(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const stats = await lstatUnlessGone(at);
    if (stats === undefined) {
      if (dirname(at) === at) return false;
      continue;
    }
    // One look tells all of a real directory: by a second one somebody may have removed it.
    return stats.isDirectory() || (stats.isSymbolicLink() && (await isDirectory(at)));
  }
}

async function lstatUnlessGone(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw fileFailed('list', path, error);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** What was found about one entry; undefined when it vanished meanwhile. */
export interface FoundFile {
  readonly name: string;
  readonly stats: Stats;
}

/**
 * Sizes and times of the regular files among `names`, a bounded number at once. What vanishes meanwhile, or turns out
 * to be something else, is left out.
 */
export async function statFiles(
  directory: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < names.length) {
      const name = names[next++]!;
      const stats = await statUnlessGone(join(directory, name));
      signal?.throwIfAborted();
      if (stats?.isFile() === true) found.push({ name, stats });
    }
  };
  await Promise.all(Array.from({ length: Math.min(STATS_AT_ONCE, names.length) }, work));
  return found;
}

async function statUnlessGone(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw fileFailed('list', path, error);
  }
}
