/** Puts a snapshot into the temporary file as it is decoded, if there is one, and finds out what it is. */
import { isRivuletError } from '../base/errors.ts';
import { decodeFrameStream } from '../codec/decode-frame-stream.ts';
import { type SnapshotAnnotation, findAnnotation } from '../generations/annotation.ts';
import type { SnapshotEntry } from '../generations/inventory.ts';
import { type Generation, formatIndex } from '../generations/names.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { DATABASE_HEADER_BYTES, type DatabaseHeader, parseDatabaseHeader } from '../wal/database-header.ts';
import { SnapshotFault, withKey } from './faults.ts';
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

async function copyContent(source: AsyncIterable<Uint8Array>, fd: number | undefined): Promise<Content> {
  const payloads: Uint8Array[] = [];
  const head = Buffer.alloc(DATABASE_HEADER_BYTES);
  let sizeBytes = 0;
  for await (const chunk of decodeFrameStream(source, {
    onAnnotation: (payload) => payloads.push(payload),
    passingChunks: true,
  })) {
    if (sizeBytes < head.length) head.set(chunk.subarray(0, head.length - sizeBytes), sizeBytes);
    if (fd !== undefined) writeFully(fd, chunk, chunk.length, sizeBytes);
    sizeBytes += chunk.length;
  }
  return { payloads, head: head.subarray(0, Math.min(sizeBytes, head.length)), sizeBytes };
}

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

function describe(generation: Generation, entry: SnapshotEntry, content: Content): LoadedSnapshot {
  const annotation = ownAnnotation(generation, entry, content);
  const header = parseDatabaseHeader(content.head, entry.key);
  checkSize(entry, header, content.sizeBytes, annotation);
  const { pageSizeBytes } = header;
  return { entry, annotation, pageSizeBytes, pageCount: content.sizeBytes / pageSizeBytes };
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
 * Streams the snapshot into the file behind `fd`, from its start; without one it is only checked.
 *
 * @throws SnapshotFault when it is damaged, is no database, or belongs to another name
 */
export async function loadSnapshot(
  store: Pick<ObjectStore, 'read'>,
  generation: Generation,
  entry: SnapshotEntry,
  into: {
    readonly fd: number | undefined;
    readonly signal: AbortSignal;
    readonly onBytes: (bytes: number) => void;
  },
): Promise<LoadedSnapshot> {
  try {
    const source = counted(
      store.read(entry.key, { sizeHintBytes: entry.sizeBytes, signal: into.signal }),
      into.onBytes,
    );
    return describe(generation, entry, await copyContent(source, into.fd));
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
    const content = await beginningOf(store.read(entry.key, { signal }));
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
