/**
 * A bounded copy on disk of log bytes that the log itself will not keep: what a destination has not confirmed
 * when the log is about to be restarted. Most of it is gone again a moment later, so files are written as they are,
 * named `<index>_<offset>_<length>.wal`; what stays longer is compressed (`.lz4`). What is read back is checked by
 * the reader's checksum chain, so a damaged file is noticed, never shipped.
 */
import { join } from 'node:path';
import {
  type Files,
  nameOfTemporary,
  readFileWhole,
  readFully,
  replaceFile,
  systemFiles,
} from '../base/files.ts';
import { isReadFailure } from '../base/read-failure.ts';
import { decodeFrame } from '../codec/decode-frame.ts';
import { encodeFrame } from '../codec/encode-frame.ts';
import { comparePositions, type Position } from '../generations/names.ts';
import { unreadableState } from './unreadable.ts';

const NAME = /^([0-9a-f]{8})_([0-9a-f]{8,16})_([0-9a-f]{8})\.(wal|lz4)$/;
/** What a destination has not taken after this long is compressed. */
const LINGERING_MS = 10_000;

interface Entry extends Position {
  readonly lengthBytes: number;
  readonly fileBytes: number;
  readonly path: string;
  /** When it was written, in milliseconds since 1970; undefined once compressed. */
  readonly rawSinceMs: number | undefined;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** A regular file of a name that only the spool gives. Whatever else is there was put there by somebody, and stays. */
function isOwn(files: Files, directory: string, name: string): boolean {
  return NAME.test(nameOfTemporary(name) ?? name) && files.lstat(join(directory, name))?.kind === 'file';
}

function parseEntry(files: Files, directory: string, name: string): Entry | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [index, offsetBytes, lengthBytes] = match.slice(1, 4).map((part) => Number.parseInt(part, 16));
  const path = join(directory, name);
  const facts = files.lstat(path);
  if (facts === undefined) return undefined;
  const rawSinceMs = match[4] === 'wal' ? facts.modifiedAtMs : undefined;
  if (rawSinceMs !== undefined && facts.sizeBytes !== lengthBytes) return undefined;
  const at = { index: index ?? 0, offsetBytes: offsetBytes ?? 0 };
  return { ...at, lengthBytes: lengthBytes ?? 0, fileBytes: facts.sizeBytes, path, rawSinceMs };
}

export class Spool {
  readonly #directory: string;
  readonly #files: Files;
  #entries: Entry[];
  #cached: { path: string; bytes: Uint8Array } | undefined;
  /** Names in the directory, at the start, that are not the spool's. */
  readonly strangers: readonly string[];

  /** @param directory - made when first needed */
  constructor(directory: string, files: Files = systemFiles) {
    this.#directory = directory;
    this.#files = files;
    this.#entries = [];
    const strangers: string[] = [];
    for (const name of files.list(directory)) {
      if (!isOwn(files, directory, name)) {
        strangers.push(name);
        continue;
      }
      const entry = parseEntry(files, directory, name);
      if (entry === undefined) files.remove(join(directory, name));
      else this.#entries.push(entry);
    }
    this.#entries.sort(comparePositions);
    this.strangers = strangers;
  }

  get sizeBytes(): number {
    return this.#entries.reduce((sum, entry) => sum + entry.fileBytes, 0);
  }

  /** End of the unbroken stretch of log `index` that begins at or before `from`; undefined when `from` is not in it. */
  coveredUntil(from: Position): number | undefined {
    let reached = from.offsetBytes;
    let found = false;
    for (const entry of this.#entries) {
      if (entry.index !== from.index || entry.offsetBytes > reached) continue;
      const end = entry.offsetBytes + entry.lengthBytes;
      if (end <= reached) continue;
      reached = end;
      found = true;
    }
    return found ? reached : undefined;
  }

  /** Keeps `bytes`, which lie at `position`. The file appears whole or not at all. */
  append(position: Position, bytes: Uint8Array, nowMs: number): void {
    this.#files.makeDirectory(this.#directory, 0o700);
    const path = this.#pathOf(position, bytes.length, 'wal');
    this.#writeWhole(path, bytes);
    this.#replace({
      ...position,
      lengthBytes: bytes.length,
      fileBytes: bytes.length,
      path,
      rawSinceMs: nowMs,
    });
  }

  /** Compresses the oldest file that has been waiting for long, if any; one a call, because it takes milliseconds. */
  compressLingering(nowMs: number): boolean {
    const entry = this.#entries.find(
      (e) => e.rawSinceMs !== undefined && nowMs - e.rawSinceMs >= LINGERING_MS,
    );
    if (entry === undefined) return false;
    const raw = this.#readWhole(entry);
    if (raw === undefined) {
      this.#forget((other) => other === entry);
      return false;
    }
    const encoded = encodeFrame(raw);
    const path = this.#pathOf(entry, entry.lengthBytes, 'lz4');
    this.#writeWhole(path, encoded);
    this.#files.remove(entry.path);
    this.#replace({ ...entry, fileBytes: encoded.length, path, rawSinceMs: undefined });
    return true;
  }

  /** A spooled piece is of use to the next run at best, never after a restart of the machine: nothing need survive that. */
  #writeWhole(path: string, bytes: Uint8Array): void {
    replaceFile(this.#files, path, bytes, { durable: false });
  }

  /** The bytes of a file that is not compressed; undefined when it is gone or was cut off. */
  #readWhole({ path, lengthBytes }: Entry): Uint8Array | undefined {
    const bytes = readFileWhole(this.#files, path);
    return bytes?.length === lengthBytes ? bytes : undefined;
  }

  /** Fills `into` from a place in a file; answers how many bytes there were. */
  #readAt(path: string, into: Uint8Array, offsetBytes: number): number {
    const descriptor = this.#files.openOwn(path);
    try {
      return readFully(this.#files, descriptor, into, offsetBytes);
    } finally {
      this.#files.close(descriptor);
    }
  }

  #pathOf(position: Position, lengthBytes: number, ending: string): string {
    return join(
      this.#directory,
      `${hex(position.index)}_${hex(position.offsetBytes)}_${hex(lengthBytes)}.${ending}`,
    );
  }

  #replace(entry: Entry): void {
    const isSame = (other: Entry): boolean =>
      comparePositions(other, entry) === 0 && other.lengthBytes === entry.lengthBytes;
    this.#entries = [...this.#entries.filter((other) => !isSame(other)), entry].sort(comparePositions);
    this.#cached = undefined;
  }

  /**
   * Fills `into` from the spooled copy of log `index`; returns how many bytes there were.
   *
   * @throws RivuletError `STATE_INVALID` when the system refuses to read it; `LZ4_INVALID` when it is damaged
   */
  read(index: number, into: Uint8Array, offsetBytes: number): number {
    let done = 0;
    while (done < into.length) {
      const at = offsetBytes + done;
      const entry = this.#entries.find(
        (e) => e.index === index && e.offsetBytes <= at && at < e.offsetBytes + e.lengthBytes,
      );
      if (entry === undefined) break;
      const read = this.#tryEntry(entry, into.subarray(done), at - entry.offsetBytes);
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  #tryEntry(entry: Entry, into: Uint8Array, startBytes: number): number {
    try {
      return this.#readEntry(entry, into, startBytes);
    } catch (error) {
      throw isReadFailure(error) ? unreadableState(entry.path, error) : error;
    }
  }

  #readEntry(entry: Entry, into: Uint8Array, startBytes: number): number {
    const wanted = into.subarray(0, entry.lengthBytes - startBytes);
    if (entry.rawSinceMs !== undefined) return this.#readAt(entry.path, wanted, startBytes);
    const piece = this.#decoded(entry).subarray(startBytes, startBytes + wanted.length);
    wanted.set(piece);
    return piece.length;
  }

  #decoded(entry: Entry): Uint8Array {
    if (this.#cached?.path === entry.path) return this.#cached.bytes;
    const file = readFileWhole(this.#files, entry.path) ?? new Uint8Array(0);
    const bytes = decodeFrame(file, { maxBytes: entry.lengthBytes }).content;
    this.#cached = { path: entry.path, bytes };
    return bytes;
  }

  /**
   * Removes what lies wholly before `position`; everything when it is undefined.
   *
   * @throws what the file system does, once; what could not be removed is forgotten all the same, until the next start
   */
  prune(position: Position | undefined): void {
    const isDone = (entry: Entry): boolean =>
      position === undefined ||
      entry.index < position.index ||
      (entry.index === position.index && entry.offsetBytes + entry.lengthBytes <= position.offsetBytes);
    this.#forget(isDone);
  }

  /**
   * Removes everything of the spool, also what could not be removed before.
   *
   * @throws what the file system does; not all of it is gone then
   */
  clear(): void {
    for (const name of this.#files.list(this.#directory)) {
      if (isOwn(this.#files, this.#directory, name)) this.#files.remove(join(this.#directory, name));
    }
    this.#entries = [];
    this.#cached = undefined;
  }

  #forget(isDone: (entry: Entry) => boolean): void {
    const done = this.#entries.filter(isDone);
    if (done.length === 0) return;
    this.#entries = this.#entries.filter((entry) => !isDone(entry));
    this.#cached = undefined;
    const problems: unknown[] = [];
    for (const entry of done) {
      try {
        this.#files.remove(entry.path);
      } catch (error) {
        problems.push(error);
      }
    }
    if (problems.length > 0) throw problems[0];
  }
}
