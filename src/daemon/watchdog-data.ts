/** What the main thread and the watchdog's thread share. */
import type { LoggingSettings } from '../config/settings.ts';

/** Which number stands where; 0 means that it does not apply. */
export const SLOT = { beats: 0, hangLimitMs: 1, endLimitMs: 2, childPid: 3 } as const;

export interface WatchdogData {
  readonly numbers: Int32Array<SharedArrayBuffer>;
  readonly logging: LoggingSettings;
}
