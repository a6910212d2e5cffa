import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { systemCode } from '../../base/errors.ts';
import type { ReadOptions } from '../object-store.ts';
import { WHOLE_BYTES_MAX } from '../bounded-body.ts';
import { fileFailed, objectNotFound, objectTooLong } from '../storage-error.ts';
import { close, fstat, open, read } from './file-system.ts';

/** Large enough that the trips to the thread pool do not count, small enough for many readers at once. */
export const READ_CHUNK_BYTES: number = 1024 * 1024;

/** Not to wait for a pipe's other end, should one lie under an object's name: it has nothing to give. Files do not notice. */
export const READ_FLAGS: number = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** An object's place: the path for the system, the rest for messages. */
export interface FilePlace {
  readonly path: string;
  readonly key: string;
  readonly location: string;
}

/**
 * A file whole. With the right `sizeHintBytes` that is open, read, close.
 *
 * @throws RivuletError `REPLICA_INVALID` when it is longer than the hint, or than what is read without one
 */
export async function readWholeFile(
  place: FilePlace,
  sizeHintBytes: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const maxBytes = sizeHintBytes ?? WHOLE_BYTES_MAX;
  return withOpenFile(place, signal, async (fd) => {
    const expectedBytes = sizeHintBytes ?? (await fstat(fd)).size;
    return readToEnd(fd, place, { expectedBytes, maxBytes }, signal);
  });
}

/** A file whole, with what it was like when it was read: both of one content, also when the name is replaced. */
export async function readWholeFileWithStats(
  place: FilePlace,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<{ bytes: Uint8Array; stats: Stats }> {
  return withOpenFile(place, signal, async (fd) => {
    const stats = await fstat(fd);
    const bounds = { expectedBytes: stats.size, maxBytes };
    return { bytes: await readToEnd(fd, place, bounds, signal), stats };
  });
}

async function withOpenFile<T>(
  place: FilePlace,
  signal: AbortSignal | undefined,
  work: (fd: number) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const fd = await openForReading(place);
  try {
    signal?.throwIfAborted();
    return await work(fd);
  } catch (error) {
    throw signal?.aborted === true && error === signal.reason ? error : fileFailed('read', place.path, error);
  } finally {
    await close(fd);
  }
}

/**
 * One byte more than expected is asked for, so that an answer of exactly the expected size shows the end as well. Any
 * other answer is followed by more reads until one says that this is the end: a short read is not the end.
 */
async function readToEnd(
  fd: number,
  place: FilePlace,
  { expectedBytes, maxBytes }: { readonly expectedBytes: number; readonly maxBytes: number },
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (expectedBytes > maxBytes) throw objectTooLong(place.location, place.key, maxBytes);
  let buffer = Buffer.allocUnsafeSlow(expectedBytes + 1);
  let filled = 0;
  for (;;) {
    const got = await read(fd, buffer, filled, buffer.length - filled, filled);
    signal?.throwIfAborted();
    filled += got;
    if (got === 0 || filled === expectedBytes) return buffer.subarray(0, filled);
    if (filled > maxBytes) throw objectTooLong(place.location, place.key, maxBytes);
    if (filled === buffer.length) buffer = Buffer.concat([buffer], Math.max(2 * filled, READ_CHUNK_BYTES));
  }
}

/** The chunks of a stretch of a file, the next one read while the present one is used. */
export async function* readFileChunks(
  place: FilePlace,
  { offsetBytes = 0, lengthBytes, signal }: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted();
  const fd = await openForReading(place);
  let ahead: Promise<Uint8Array> | undefined;
  try {
    const end = offsetBytes + (lengthBytes ?? Number.POSITIVE_INFINITY);
    const stats = await fstat(fd);
    if (!stats.isFile()) throw new Error('it is no regular file');
    const size = Math.min(stats.size, end);
    let at = offsetBytes;
    if (at < size) ahead = handled(readChunk(fd, at, size));
    while (ahead !== undefined) {
      const chunk = await ahead;
      signal?.throwIfAborted();
      at += chunk.length;
      ahead = at < size ? handled(readChunk(fd, at, size)) : undefined;
      yield chunk;
      signal?.throwIfAborted();
    }
  } catch (error) {
    throw signal?.aborted === true && error === signal.reason ? error : fileFailed('read', place.path, error);
  } finally {
    // A descriptor must not be closed, and its number given to another file, under a read.
    await ahead?.catch(() => undefined);
    await close(fd);
  }
}

async function readChunk(fd: number, at: number, size: number): Promise<Uint8Array> {
  const wanted = Math.min(READ_CHUNK_BYTES, size - at);
  const chunk = Buffer.allocUnsafeSlow(wanted);
  let filled = 0;
  while (filled < wanted) {
    const got = await read(fd, chunk, filled, wanted - filled, at + filled);
    if (got === 0) throw new Error(`it ends at byte ${at + filled}, expected ${size} bytes`);
    filled += got;
  }
  return chunk;
}

async function openForReading(place: FilePlace): Promise<number> {
  try {
    return await open(place.path, READ_FLAGS);
  } catch (error) {
    throw notReadable(place, error);
  }
}

/** What a failure to open an object's file means. */
export function notReadable(place: FilePlace, error: unknown): Error {
  if (systemCode(error) === 'ENOENT') return objectNotFound(place.location, place.key, error);
  return fileFailed('read', place.path, error);
}

/** Keeps a failure that nobody waits for any more from ending the process. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
