import { orAbort } from '../abandon.ts';
import { settleAll } from '../../base/settle-all.ts';
import type { ReadOptions } from '../object-store.ts';
import { objectTooLong, storageFailed } from '../storage-error.ts';
import { type FileFacts, PIECE_BYTES, type SftpConnection } from './connection.ts';
import { type SftpPlace, notReadable, requestFailed } from './failures.ts';

/** What a reader is handed at once. */
const CHUNK_BYTES = 8 * PIECE_BYTES;

/** Fetched ahead of the reader: 2 MB, which keep 100 MB/s going over 20 ms. */
const CHUNKS_AHEAD = 8;

/** The chunks of a stretch of an object, the next ones on their way while the present one is used. */
export async function* readObject(
  connection: SftpConnection,
  place: SftpPlace,
  { offsetBytes = 0, lengthBytes, signal }: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const handle = await openForReading(connection, place, signal);
  const ahead: Promise<Uint8Array>[] = [];
  try {
    const { sizeBytes } = await orAbort(connection.factsOfHandle(handle), signal);
    const end = Math.min(sizeBytes, offsetBytes + (lengthBytes ?? Infinity));
    let next = offsetBytes;
    const fetchMore = (): void => {
      for (; next < end && ahead.length < CHUNKS_AHEAD; next += CHUNK_BYTES) {
        const chunk = readExactly(connection, handle, place, next, Math.min(CHUNK_BYTES, end - next), signal);
        // A failure is noticed when its turn comes; until then it must not end the process.
        chunk.catch(() => undefined);
        ahead.push(chunk);
      }
    };
    for (fetchMore(); ahead.length > 0; fetchMore()) {
      const chunk = await ahead.shift()!;
      signal?.throwIfAborted();
      yield chunk;
      signal?.throwIfAborted();
    }
  } catch (error) {
    throw requestFailed('read', place.path, place.location, error);
  } finally {
    // Answers that are still on their way are taken for the handle they were asked of.
    connection.closeHandle(handle).catch(() => undefined);
  }
}

/** An object whole with what the server says of it. @throws RivuletError `REPLICA_INVALID` when it is longer than `maxBytes` */
export async function readWhole(
  connection: SftpConnection,
  place: SftpPlace,
  { sizeHintBytes, maxBytes }: { readonly sizeHintBytes: number | undefined; readonly maxBytes: number },
  signal: AbortSignal | undefined,
): Promise<{ bytes: Uint8Array; facts: FileFacts }> {
  const handle = await openForReading(connection, place, signal);
  try {
    const asking = connection.factsOfHandle(handle);
    // With a size at hand, content and size are asked for in one trip; what a wrong hint lacks is asked for after it.
    const begun = readUpTo(connection, handle, 0, sizeHintBytes ?? 0, signal);
    await orAbort(settleAll([asking, begun]), signal);
    const facts = await asking;
    const first = await begun;
    if (facts.sizeBytes > maxBytes) throw objectTooLong(place.location, place.key, maxBytes);
    if (first.length >= facts.sizeBytes) return { bytes: first.subarray(0, facts.sizeBytes), facts };
    const missing = facts.sizeBytes - first.length;
    const rest = await readExactly(connection, handle, place, first.length, missing, signal);
    return { bytes: first.length === 0 ? rest : Buffer.concat([first, rest]), facts };
  } catch (error) {
    throw requestFailed('read', place.path, place.location, error);
  } finally {
    connection.closeHandle(handle).catch(() => undefined);
  }
}

async function openForReading(
  connection: SftpConnection,
  place: SftpPlace,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  signal?.throwIfAborted();
  const opening = connection.open(place.path, 'r');
  try {
    return await orAbort(opening, signal);
  } catch (error) {
    // An answer that comes when nobody waits for it any more.
    opening.then(async (handle) => connection.closeHandle(handle)).catch(() => undefined);
    throw notReadable(place, error);
  }
}

async function readExactly(
  connection: SftpConnection,
  handle: Buffer,
  place: SftpPlace,
  position: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = await readUpTo(connection, handle, position, length, signal);
  if (bytes.length === length) return bytes;
  throw storageFailed(
    `cannot read ${place.path} at ${place.location}: it ends at byte ${position + bytes.length}, expected ${length - bytes.length} more`,
    { retry: true },
  );
}

/** All pieces of a stretch at once; shorter where the file ends before. */
async function readUpTo(
  connection: SftpConnection,
  handle: Buffer,
  position: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const into = Buffer.allocUnsafeSlow(length);
  const pieces: Promise<number>[] = [];
  for (let at = 0; at < length; at += PIECE_BYTES) {
    const end = Math.min(at + PIECE_BYTES, length);
    pieces.push(readPiece(connection, handle, into, at, end, position, signal));
  }
  await settleAll(pieces);
  const ends = await Promise.all(pieces);
  // The file ends in the first piece that came short.
  let filled = 0;
  for (const [i, end] of ends.entries()) {
    filled = end;
    if (end < Math.min((i + 1) * PIECE_BYTES, length)) break;
  }
  return into.subarray(0, filled);
}

/** A short answer is not the end: only an empty one is. @returns where in `into` the bytes end */
async function readPiece(
  connection: SftpConnection,
  handle: Buffer,
  into: Buffer,
  start: number,
  end: number,
  position: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (let at = start; at < end;) {
    const got = await connection.read(handle, into, at, end - at, position + at, signal);
    if (got === 0) return at;
    at += got;
  }
  return end;
}
