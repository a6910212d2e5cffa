/** Puts a snapshot into the temporary file as it is decoded, if there is one, and finds out what it is. */
import { isRivuletError } from '../base/errors.ts';
import { decodeFrameStream } from '../codec/decode-frame-stream.ts';
import { type SnapshotAnnotation, findAnnotation } from '../generations/annotation.ts';
import type { SnapshotEntry } from '../generations/inventory.ts';
import { type Generation, formatIndex } from '../generations/names.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { DATABASE_HEADER_BYTES, type DatabaseHeader, parseDatabaseHeader } from '../wal/database-header.ts';
import { SnapshotFault, withKey } from './faults.ts';
import { assertFree } from './free-space.ts';
import { writeFully } from './page-file.ts';

export interface LoadedSnapshot {
  readonly entry: SnapshotEntry;
  readonly annotation: SnapshotAnnotation | undefined;
  readonly pageSizeBytes: number;
  readonly pageCount: number;
}

interface Content {
  readonly payloads: readonly Uint8Array[];
  /** The first bytes, for the header. */
  readonly head: Uint8Array;
  readonly sizeBytes: number;
}

/** Where a snapshot is put. */
export interface SnapshotOutput {
  readonly fd: number;
  /** Where it is, for a look at the free space. */
  readonly folder: string;
}

/** An annotation and the first block of a snapshot, however large, are among so many stored bytes. */
export const BEGINNING_BYTES_MAX: number = 8 * 1024 * 1024;

/** LZ4 makes at most so many bytes of one. */
const LZ4_RATIO_MAX = 255;

/** Where nothing tells how large a database is, room is looked for again after so many bytes of it. */
const ROOM_STEP_BYTES = 64 * 1024 * 1024;

/** Reads an object, telling `onBytes` how many stored bytes came. */
async function* counted(
  source: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    onBytes(chunk.length);
    yield chunk;
  }
}

/** Copies the content, or only looks at it, no further than it may reach. */
class SnapshotCopy {
  readonly #generation: Generation;
  readonly #entry: SnapshotEntry;
  readonly #output: SnapshotOutput | undefined;
  readonly #payloads: Uint8Array[] = [];
  readonly #head = Buffer.alloc(DATABASE_HEADER_BYTES);
  #sizeBytes = 0;
  /** More is refused, or left out where only the header tells it. */
  #limit: { readonly sizeBytes: number; readonly isRefused: boolean } | undefined;
  #roomToBytes = 0;

  constructor(generation: Generation, entry: SnapshotEntry, output: SnapshotOutput | undefined) {
    this.#generation = generation;
    this.#entry = entry;
    this.#output = output;
  }

  async take(source: AsyncIterable<Uint8Array>): Promise<LoadedSnapshot> {
    const onAnnotation = (payload: Uint8Array): void => void this.#payloads.push(payload);
    for await (const chunk of decodeFrameStream(source, { onAnnotation, passingChunks: true })) {
      this.#takeChunk(chunk);
    }
    const entry = this.#entry;
    const annotation = ownAnnotation(this.#generation, entry, this.#content);
    const header = parseDatabaseHeader(this.#content.head, entry.key);
    checkSize(entry, header, this.#sizeBytes, annotation);
    const { pageSizeBytes } = header;
    const keptBytes = Math.min(this.#sizeBytes, this.#limit?.sizeBytes ?? Number.POSITIVE_INFINITY);
    return { entry, annotation, pageSizeBytes, pageCount: keptBytes / pageSizeBytes };
  }

  get #content(): Content {
    const head = this.#head.subarray(0, Math.min(this.#sizeBytes, this.#head.length));
    return { payloads: this.#payloads, head, sizeBytes: this.#sizeBytes };
  }

  #takeChunk(chunk: Uint8Array): void {
    const at = this.#sizeBytes;
    if (at < this.#head.length) this.#head.set(chunk.subarray(0, this.#head.length - at), at);
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes >= this.#head.length) this.#limit ??= this.#findLimit();
    const { sizeBytes, isRefused } = this.#limit ?? UNLIMITED;
    if (isRefused && this.#sizeBytes > sizeBytes) throw this.#tooLarge(sizeBytes);
    const length = Math.min(chunk.length, sizeBytes - at);
    if (this.#output === undefined || length <= 0) return;
    this.#makeRoom(this.#output, at + length);
    writeFully(this.#output.fd, chunk, length, at);
  }

  /**
   * The annotation says how large the database is. Else its header does, as far as SQLite itself believes it; a file may be
   * longer, as a database that has become smaller stays long until its log ends, and nothing needs what is behind.
   */
  #findLimit(): { readonly sizeBytes: number; readonly isRefused: boolean } {
    const annotation = ownAnnotation(this.#generation, this.#entry, this.#content);
    const header = parseDatabaseHeader(this.#head, this.#entry.key);
    const possibleBytes = this.#entry.sizeBytes * LZ4_RATIO_MAX;
    if (annotation !== undefined) {
      const sizeBytes = annotation.pageCount * annotation.pageSizeBytes;
      if (sizeBytes > possibleBytes) throw this.#tooSmall(sizeBytes);
      this.#roomToBytes = sizeBytes;
      if (this.#output !== undefined) assertFree(this.#output.folder, sizeBytes);
      return { sizeBytes, isRefused: true };
    }
    if (!header.isPageCountValid) return UNLIMITED;
    const sizeBytes = header.pageCount * header.pageSizeBytes;
    this.#roomToBytes = Math.min(sizeBytes, possibleBytes);
    if (this.#output !== undefined) assertFree(this.#output.folder, this.#roomToBytes);
    return { sizeBytes, isRefused: false };
  }

  #makeRoom({ folder }: SnapshotOutput, toBytes: number): void {
    if (toBytes <= this.#roomToBytes) return;
    // Twice: what is free when it is looked at is not free for long.
    assertFree(folder, 2 * ROOM_STEP_BYTES);
    this.#roomToBytes = toBytes + ROOM_STEP_BYTES;
  }

  #tooLarge(sizeBytes: number): SnapshotFault {
    const { key } = this.#entry;
    return new SnapshotFault(key, `${key} holds more than the ${sizeBytes} bytes that it says it has`);
  }

  #tooSmall(sizeBytes: number): SnapshotFault {
    const { key, sizeBytes: storedBytes } = this.#entry;
    const problem = `its ${storedBytes} stored bytes cannot hold the ${sizeBytes} that it says it has`;
    return new SnapshotFault(key, `${key} is wrong: ${problem}`);
  }
}

const UNLIMITED = { sizeBytes: Number.POSITIVE_INFINITY, isRefused: false } as const;

/** The annotation, checked against the name that the object lies under. */
function ownAnnotation(
  generation: Generation,
  entry: SnapshotEntry,
  content: Content,
): SnapshotAnnotation | undefined {
  const annotation = findAnnotation(content.payloads, entry.key);
  if (annotation === undefined) return undefined;
  if (
    annotation.kind === 'snapshot' &&
    annotation.generation === generation &&
    annotation.index === entry.index
  ) {
    return annotation;
  }
  const own = `${annotation.kind} of generation ${annotation.generation}, index ${formatIndex(annotation.index)}`;
  throw new SnapshotFault(entry.key, `${entry.key} does not belong there: it is the ${own}`);
}

function checkSize(
  entry: SnapshotEntry,
  header: DatabaseHeader,
  sizeBytes: number,
  annotation: SnapshotAnnotation | undefined,
): void {
  const { pageSizeBytes } = header;
  const expected = annotation === undefined ? undefined : annotation.pageCount * annotation.pageSizeBytes;
  const fits = expected === undefined ? sizeBytes % pageSizeBytes === 0 : sizeBytes === expected;
  if (fits && (annotation === undefined || annotation.pageSizeBytes === pageSizeBytes)) return;
  const wanted = expected === undefined ? `a multiple of ${pageSizeBytes}` : `${expected}`;
  throw new SnapshotFault(entry.key, `${entry.key} has ${sizeBytes} bytes inside, expected ${wanted}`);
}

/** What makes this object unusable, as opposed to a destination or disk that fails. */
function asSnapshotFault(entry: SnapshotEntry, error: unknown): unknown {
  if (isRivuletError(error, 'LZ4_INVALID', 'AGE_INVALID', 'REPLICA_INVALID', 'DB_INVALID')) {
    const named = error.message.includes(entry.key) ? error.message : `${entry.key}: ${error.message}`;
    return new SnapshotFault(entry.key, named, { cause: error });
  }
  if (isRivuletError(error, 'STORAGE_NOT_FOUND')) {
    return new SnapshotFault(entry.key, `${entry.key} vanished while it was restored`, { cause: error });
  }
  return isRivuletError(error, 'AGE_KEY_MISSING', 'AGE_KEY_WRONG') ? withKey(entry.key, error) : error;
}

/**
 * Streams the snapshot into the file of `output`, from its start; without one it is only checked.
 *
 * @throws SnapshotFault when it is damaged, is no database, belongs to another name, or is larger than it says;
 *   RivuletError `OUTPUT_UNWRITABLE` when it does not fit on the disk
 */
export async function loadSnapshot(
  store: Pick<ObjectStore, 'read'>,
  generation: Generation,
  entry: SnapshotEntry,
  into: {
    readonly output: SnapshotOutput | undefined;
    readonly signal: AbortSignal;
    readonly onBytes: (bytes: number) => void;
  },
): Promise<LoadedSnapshot> {
  try {
    const source = counted(
      store.read(entry.key, { sizeHintBytes: entry.sizeBytes, signal: into.signal }),
      into.onBytes,
    );
    return await new SnapshotCopy(generation, entry, into.output).take(source);
  } catch (error) {
    throw asSnapshotFault(entry, error);
  }
}

/**
 * What the beginning of a snapshot tells of it, without the rest being fetched: nothing of its content is checked.
 *
 * @throws SnapshotFault when it is no database, or belongs to another name
 */
export async function peekSnapshot(
  store: Pick<ObjectStore, 'read'>,
  generation: Generation,
  entry: SnapshotEntry,
  signal: AbortSignal,
): Promise<LoadedSnapshot> {
  try {
    const content = await beginningOf(store.read(entry.key, { signal, lengthBytes: BEGINNING_BYTES_MAX }));
    const annotation = ownAnnotation(generation, entry, content);
    const { pageSizeBytes, pageCount } = parseDatabaseHeader(content.head, entry.key);
    return { entry, annotation, pageSizeBytes, pageCount: annotation?.pageCount ?? pageCount };
  } catch (error) {
    throw asSnapshotFault(entry, error);
  }
}

async function beginningOf(source: AsyncIterable<Uint8Array>): Promise<Content> {
  const payloads: Uint8Array[] = [];
  let head = new Uint8Array(0);
  const onAnnotation = (payload: Uint8Array): void => void payloads.push(payload);
  for await (const chunk of decodeFrameStream(source, { onAnnotation })) {
    head = Buffer.concat([head, chunk]).subarray(0, DATABASE_HEADER_BYTES);
    if (head.length === DATABASE_HEADER_BYTES) break;
  }
  return { payloads, head, sizeBytes: head.length };
}
