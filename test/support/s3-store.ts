/** An S3 store as tests need it: with keys of the test's own, and a record of what it asked for and said. */
import { systemClock } from '../../src/base/clock.ts';
import { mayRetry, retryAfterOf } from '../../src/storage/storage-error.ts';
import type { RequestKind, Retrier } from '../../src/storage/backend.ts';
import type { AwsKeys, AwsKeySource } from '../../src/storage/aws-keys.ts';
import type { S3StoreOptions } from '../../src/storage/s3/options.ts';
import { S3ObjectStore } from '../../src/storage/s3/s3-object-store.ts';
import { CEPH_KEYS } from './ceph-rgw.ts';
import { RecordingLogger } from './recording-logger.ts';

export interface S3UnderTest extends AsyncDisposable {
  readonly store: S3ObjectStore;
  readonly logger: RecordingLogger;
  /** How often each kind of request was made. */
  readonly requests: Map<RequestKind, number>;
}

/** Keys that never change. */
export function fixedKeys(keys: AwsKeys): AwsKeySource {
  return { current: async () => keys, renew: async () => false };
}

/** Three attempts, at once or when the server says, and never later than in 50 ms. */
export const quickRetrier: Retrier = {
  run: async (_what, attempt, signal) => {
    for (let number = 1; ; number++) {
      try {
        return await attempt(number);
      } catch (error) {
        signal?.throwIfAborted();
        if (number === 3 || !mayRetry(error)) throw error;
        await systemClock.sleep(Math.min(50, retryAfterOf(error) ?? 0), signal);
      }
    }
  },
};

export function openS3(options: Partial<S3StoreOptions> = {}): S3UnderTest {
  const requests = new Map<RequestKind, number>();
  const logger = new RecordingLogger();
  const store = new S3ObjectStore({
    bucket: 'bucket',
    keys: fixedKeys(CEPH_KEYS),
    region: 'us-east-1',
    ...options,
    tools: {
      clock: systemClock,
      logger,
      onRequest: (kind) => requests.set(kind, (requests.get(kind) ?? 0) + 1),
      retrier: quickRetrier,
      ...options.tools,
    },
  });
  return { store, logger, requests, [Symbol.asyncDispose]: async () => store.close() };
}
