/** Puts around a backend behind a network what every such backend needs, in the one order that is right. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { BackendTools } from './backend.ts';
import { Bandwidth, pacedStore } from './bandwidth.ts';
import { boundedStore } from './bounded-body.ts';
import { limitedStore } from './limited.ts';
import type { CallLimits } from './limited.ts';
import { meteredStore } from './metered.ts';
import type { StoreMeter } from './metered.ts';
import type { ObjectStore } from './object-store.ts';
import { rangedStore } from './ranged.ts';
import type { RangeOptions } from './ranged.ts';
import { StorageRetrier } from './retry.ts';
import type { RetryPolicy } from './retry.ts';
import { retryingStore } from './retrying.ts';
import type { TroubleListener } from './troubles.ts';

export interface NetworkStoreOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter?: StoreMeter | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** As `RetryTools` has it. */
  readonly onTrouble?: TroubleListener | undefined;
  readonly limits?: Partial<CallLimits> | undefined;
  /** What every request may take, beside the time for its bytes; a minute when absent. */
  readonly answerMs?: number | undefined;
  /** Bytes per second of content; without a cap when absent. */
  readonly uploadBytesPerSecond?: number | undefined;
  readonly downloadBytesPerSecond?: number | undefined;
  /** How large objects are read; false for a destination where several connections are no faster than one. */
  readonly ranges?: Partial<RangeOptions> | false | undefined;
  /** 0 to 1, for jitter. */
  readonly random?: (() => number) | undefined;
}

/**
 * From the inside out: the backend; bounded; counted, each attempt; tried again; so many at once; so many bytes per second; in
 * ranges. A call keeps its place while it waits for its next attempt, which is what spares a busy server. What waits
 * for its bytes to be allowed keeps no place, except that a stream does.
 *
 * @param makeBackend - makes the backend, which makes one attempt of each call and tells each of its requests
 */
export function networkStore(
  makeBackend: (tools: BackendTools) => ObjectStore,
  options: NetworkStoreOptions,
): ObjectStore {
  const { clock, logger, meter, ranges, onTrouble, random } = options;
  const retrier = new StorageRetrier({ clock, logger, random, onTrouble }, options.retry);
  const onRequest: BackendTools['onRequest'] = (kind) => meter?.operation(kind, 1);
  const backend = makeBackend({ clock, logger, onRequest, retrier });
  const bounded = boundedStore(backend);
  const counted = meter === undefined ? bounded : meteredStore(bounded, meter, { countsItself: true });
  const retried = retryingStore(counted, retrier, clock, options.answerMs);
  const limited = limitedStore(retried, options.limits);
  const paced = pacedStore(limited, {
    uploads: capOf(options.uploadBytesPerSecond, clock),
    downloads: capOf(options.downloadBytesPerSecond, clock),
  });
  return ranges === false ? paced : rangedStore(paced, ranges);
}

function capOf(bytesPerSecond: number | undefined, clock: Clock): Bandwidth | undefined {
  return bytesPerSecond === undefined ? undefined : new Bandwidth(bytesPerSecond, clock);
}
