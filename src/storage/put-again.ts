/** Writes that are made again although the answer to an earlier attempt may have been lost after its work was done. */
import { isRivuletError } from '../base/errors.ts';
import type { BackendTools } from './backend.ts';
import type { ObjectStore, WrittenObject } from './object-store.ts';
import { attemptLimitMs, withinTime } from './patience.ts';

/**
 * Writes the whole of a small streamed body. It came as a stream, so nobody outside can make the call again.
 *
 * @param put - one attempt
 */
export async function putAgain(
  store: Pick<ObjectStore, 'location' | 'readVersioned'>,
  tools: BackendTools,
  key: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
  put: (signal: AbortSignal) => Promise<WrittenObject>,
): Promise<WrittenObject> {
  const what = `write ${key} to ${store.location}`;
  const attempt = async (number: number): Promise<WrittenObject> =>
    withinTime(tools.clock, attemptLimitMs(bytes.length), what, signal, async (inner) =>
      orFoundWritten(store, key, bytes, { number, signal: inner }, async () => put(inner)),
    );
  return tools.retrier.run(`write ${key}`, attempt, signal);
}

/**
 * What `put` resolves to. When it is refused in a later attempt, the object is read back, and the same bytes mean that an
 * earlier attempt wrote it.
 *
 * @param attempt - its number counts from 1
 */
export async function orFoundWritten(
  store: Pick<ObjectStore, 'readVersioned'>,
  key: string,
  bytes: Uint8Array,
  attempt: { readonly number: number; readonly signal: AbortSignal },
  put: () => Promise<WrittenObject>,
): Promise<WrittenObject> {
  try {
    return await put();
  } catch (error) {
    const mayBeOwn = attempt.number > 1 && isRivuletError(error, 'STORAGE_EXISTS');
    const written = mayBeOwn ? await readBack(store, key, bytes, attempt.signal) : undefined;
    if (written === undefined) throw error;
    return written;
  }
}

/** The object, if it holds these bytes. */
async function readBack(
  store: Pick<ObjectStore, 'readVersioned'>,
  key: string,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<WrittenObject | undefined> {
  try {
    const found = await store.readVersioned(key, { signal, maxBytes: bytes.length });
    if (Buffer.compare(found.bytes, bytes) !== 0) return undefined;
    const { modifiedAt, version } = found;
    return { key, sizeBytes: bytes.length, modifiedAt, version, foundWritten: true };
  } catch (error) {
    // Gone, or longer: another's.
    if (isRivuletError(error, 'STORAGE_NOT_FOUND', 'REPLICA_INVALID')) return undefined;
    throw error;
  }
}
