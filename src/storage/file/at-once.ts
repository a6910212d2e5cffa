/**
 * Small calls made at once instead of on the thread pool: a trip there takes several times as long as the call
 * itself where the files are near. For a process that has nothing else to do meanwhile, such as a restore: while a
 * network mount hangs, so does the process.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { systemCode } from '../../base/errors.ts';
import { fileFailed, objectTooLong } from '../storage-error.ts';
import type { FoundFile } from './list-directory.ts';
import { type FilePlace, notReadable, READ_FLAGS } from './read-file.ts';

/** Larger files take so long that the thread pool may have them. */
export const AT_ONCE_BYTES_MAX: number = 256 * 1024;

/** Files looked at before others, signals among them, get their turn. */
const STATS_IN_A_ROW = 256;

/** As `readWholeFile`, for a file that is small by what a listing says. */
export function readWholeFileAtOnce(place: FilePlace, expectedBytes: number): Uint8Array {
  const fd = openAtOnce(place);
  try {
    return readToEndAtOnce(fd, place, expectedBytes);
  } catch (error) {
    throw fileFailed('read', place.path, error);
  } finally {
    closeSync(fd);
  }
}

function openAtOnce(place: FilePlace): number {
  try {
    return openSync(place.path, READ_FLAGS);
  } catch (error) {
    throw notReadable(place, error);
  }
}

/** One byte more than expected is asked for, so that an answer of the expected size shows the end as well. */
function readToEndAtOnce(fd: number, place: FilePlace, expectedBytes: number): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(expectedBytes + 1);
  let filled = 0;
  for (;;) {
    const got = readSync(fd, buffer, filled, buffer.length - filled, filled);
    filled += got;
    if (got === 0 || filled === expectedBytes) return buffer.subarray(0, filled);
    if (filled === buffer.length) throw objectTooLong(place.location, place.key, expectedBytes);
  }
}

/** As `statFiles`. */
export async function statFilesAtOnce(
  directory: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  for (const [i, name] of names.entries()) {
    const stats = statAtOnce(`${directory}/${name}`);
    if (stats?.isFile() === true) found.push({ name, stats });
    if (i % STATS_IN_A_ROW === STATS_IN_A_ROW - 1) await yieldToOthers();
    signal?.throwIfAborted();
  }
  return found;
}

function statAtOnce(path: string): FoundFile['stats'] | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw fileFailed('list', path, error);
  }
}
