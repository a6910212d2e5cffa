import { systemClock } from '../../src/base/clock.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { BackendTools, RequestKind } from '../../src/storage/backend.ts';
import { StorageRetrier } from '../../src/storage/retry.ts';
import type { RetryPolicy } from '../../src/storage/retry.ts';
import { RecordingLogger } from './recording-logger.ts';

/** What a backend is given, in a form that tests look at afterwards. */
export interface RecordingTools extends BackendTools {
  readonly logger: RecordingLogger;
  readonly requests: RequestKind[];
}

/** With waits so short that faults cost no time. */
export function recordingTools(
  policy: Partial<RetryPolicy> = {},
  clock: Clock = systemClock,
): RecordingTools {
  const logger = new RecordingLogger();
  const requests: RequestKind[] = [];
  const quick = { firstWaitMs: 1, waitMaxMs: 20, throttledFirstWaitMs: 1, retryAfterMaxMs: 20 };
  const retrier = new StorageRetrier({ clock, logger }, { ...quick, ...policy });
  return { clock, logger, requests, retrier, onRequest: (kind) => void requests.push(kind) };
}
