import { isRivuletError } from '../base/errors.ts';
import type { BackendTools } from './backend.ts';
import type { ObjectStore, WrittenObject } from './object-store.ts';
import { attemptLimitMs, withinTime } from './patience.ts';

/**
 * Writes the whole of a small streamed body. It came as a stream, so nobody outside can make the call again.
 *
 * The answer to an attempt may be lost after its work was done. So when a later one of a conditional write is refused,
 * the object is read back, and the same bytes mean that it was written.
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
  const attempt = async (number: number): Promise<WrittenObject> => {
    try {
      return await withinTime(tools.clock, attemptLimitMs(bytes.length), what, signal, put);
    } catch (error) {
      if (number === 1 || !isRivuletError(error, 'STORAGE_EXISTS')) throw error;
      const present = await store.readVersioned(key, { signal });
      if (!Buffer.from(present.bytes).equals(bytes)) throw error;
      return { key, sizeBytes: bytes.length, modifiedAt: present.modifiedAt, version: present.version };
    }
  };
  return tools.retrier.run(`write ${key}`, attempt, signal);
}
