import { settleAll } from '../../base/settle-all.ts';
import { orAbort } from '../abandon.ts';
import { temporaryName } from '../file/temporary-name.ts';
import { storageFailed } from '../storage-error.ts';
import { untilAborted } from '../until-aborted.ts';
import { type FileFacts, PIECE_BYTES, type SftpConnection } from './connection.ts';
import { type SftpPlace, writeFailed } from './failures.ts';
import { makeFolder } from './folders.ts';
import { folderOf } from './paths.ts';
import { giveName } from './give-name.ts';
import { Slots } from './slots.ts';
import { statusOf } from './status.ts';

/** Retention may remove a folder, empty at that moment, between its making and its use; not many times in a row. */
const FOLDER_ATTEMPTS = 5;

/** Pieces of one object under way at once: 2 MB, the window that OpenSSH gives a session. */
const PIECES_AT_ONCE = 64;

/**
 * Writes an object so that it appears whole and safe, or not at all: under a temporary name, to the disk where
 * the server can say so, then renamed. On any error the temporary file is removed.
 *
 * @param isNew - throw `STORAGE_EXISTS` instead of replacing an object
 * @param leftBehind - told of a temporary file that could not be removed
 * @returns what the server says of the file once it is there
 */
export async function writeObject(
  connection: SftpConnection,
  place: SftpPlace,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  isNew: boolean,
  leftBehind: (path: string) => void,
  signal: AbortSignal | undefined,
): Promise<FileFacts> {
  signal?.throwIfAborted();
  const temporary = temporaryName(place.path);
  let handle: Buffer | undefined;
  try {
    handle = await openTemporary(connection, temporary);
    const facts = await fill(connection, handle, place, body, signal);
    const closing = handle;
    handle = undefined;
    await connection.closeHandle(closing);
    signal?.throwIfAborted();
    await giveName(connection, temporary, place, isNew);
    return facts;
  } catch (error) {
    const folder = folderOf(place.path);
    // Before the file goes, and its space is free again.
    const failure = await writeFailed(connection, 'write', place.path, folder, place.location, error);
    await discard(connection, temporary, handle).catch(() => leftBehind(temporary));
    throw failure;
  }
}

async function openTemporary(connection: SftpConnection, temporary: string): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connection.open(temporary, 'wx');
    } catch (error) {
      if (statusOf(error) !== 'NO_SUCH_FILE' || attempt === FOLDER_ATTEMPTS) throw error;
      await makeFolder(connection, folderOf(temporary));
    }
  }
}

async function fill(
  connection: SftpConnection,
  handle: Buffer,
  place: SftpPlace,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<FileFacts> {
  const sentBytes = await sendBody(connection, handle, body, signal);
  const asking = connection.factsOfHandle(handle);
  await settleAll([makeSafe(connection, handle, sentBytes), asking]);
  const facts = await asking;
  if (facts.sizeBytes === sentBytes) return facts;
  throw storageFailed(
    `cannot write ${place.path} at ${place.location}: the server has ${facts.sizeBytes} bytes of ${sentBytes}`,
    { retry: true, hint: 'Look at the disk and the quota of the SFTP server.' },
  );
}

/** As safe as the server can make it: not every one knows how. */
async function makeSafe(connection: SftpConnection, handle: Buffer, sizeBytes: number): Promise<void> {
  try {
    await connection.makeSafe(handle, sizeBytes);
  } catch (error) {
    if (statusOf(error) !== 'UNSUPPORTED') throw error;
  }
}

/** @returns how many bytes there were */
async function sendBody(
  connection: SftpConnection,
  handle: Buffer,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const window = new PieceWindow(connection, handle);
  try {
    if (body instanceof Uint8Array) await window.send(body, signal);
    else for await (const chunk of untilAborted(body, signal)) await window.send(chunk, signal);
    return await orAbort(window.drained(), signal);
  } finally {
    // Pieces that are still under way fail with the handle or the connection, and nobody is surprised.
    window.drained().catch(() => undefined);
  }
}

/** Sends pieces one behind the other without waiting for each answer, a bounded number at once. */
class PieceWindow {
  readonly #connection: SftpConnection;
  readonly #handle: Buffer;
  readonly #slots = new Slots(PIECES_AT_ONCE);
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #sentBytes = 0;

  constructor(connection: SftpConnection, handle: Buffer) {
    this.#connection = connection;
    this.#handle = handle;
  }

  /** Resolves when all of `chunk` has been sent, not when it has been answered. @throws a failure of any piece so far */
  async send(chunk: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const place = this.#slots.take();
      if (place !== undefined) await orAbort(place, signal);
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#sendPiece(bytes.subarray(at, at + PIECE_BYTES));
    }
  }

  /** @returns bytes sent, when all are answered */
  async drained(): Promise<number> {
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#sentBytes;
  }

  #sendPiece(piece: Buffer): void {
    const position = this.#sentBytes;
    this.#sentBytes += piece.length;
    const sending = this.#connection
      .write(this.#handle, piece, position)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#underWay.delete(sending);
        this.#slots.release();
      });
    this.#underWay.add(sending);
  }
}

async function discard(
  connection: SftpConnection,
  temporary: string,
  handle: Buffer | undefined,
): Promise<void> {
  if (handle !== undefined) await connection.closeHandle(handle);
  await removeUnlessAbsent(connection, temporary);
}

export async function removeUnlessAbsent(connection: SftpConnection, path: string): Promise<void> {
  try {
    await connection.removeFile(path);
  } catch (error) {
    if (statusOf(error) !== 'NO_SUCH_FILE') throw error;
  }
}
