/** A store that writes only while the lease is held. */
import { forwardingStore } from '../../storage/forwarding.ts';
import type { Conditions, ObjectStore, WriteOptions, WrittenObject } from '../../storage/object-store.ts';
import type { Lease } from './lease.ts';

/**
 * `store`, whose writes and removals happen only while `lease` is held. One that was under way while the lease was lost
 * fails with `LEASE_LOST`, whether or not it took place: nothing of it may be confirmed.
 */
export function fencedStore(store: ObjectStore, lease: Lease): ObjectStore {
  const within = async <T>(
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
    storedAtMs: (outcome: T) => number | undefined,
  ): Promise<T> => {
    const term = await lease.ensure(signal);
    const { lossSignal } = lease;
    const end = lease.beginWrite();
    let outcome: T;
    try {
      outcome = await work(signal === undefined ? lossSignal : AbortSignal.any([signal, lossSignal]));
    } finally {
      end();
    }
    await lease.confirm(term, storedAtMs(outcome), signal);
    return outcome;
  };
  return forwardingStore(store, {
    get conditions(): Conditions {
      return lease.honoursConditions ? store.conditions : 'none';
    },
    async write(key, body, options: WriteOptions = {}): Promise<WrittenObject> {
      return within(
        options.signal,
        async (signal) => {
          const fenced = body instanceof Uint8Array ? body : checkedAtEnd(body, lease, signal);
          return store.write(key, fenced, { ...options, signal });
        },
        ({ modifiedAt }) => modifiedAt.getTime(),
      );
    },
    async remove(keys, options = {}): Promise<void> {
      await within(
        options.signal,
        async (signal) => store.remove(keys, { ...options, signal }),
        () => undefined,
      );
    },
  });
}

/** A long upload must not be completed by a process that slept in the middle of it. */
async function* checkedAtEnd(
  body: AsyncIterable<Uint8Array>,
  lease: Lease,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* body;
  await lease.ensure(signal);
}
