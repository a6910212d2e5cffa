/** What every backend behind a network is given by whoever opens it. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

/**
 * The kinds of request that services bill. `PUT` is also the start, each part and the completion of an upload in
 * parts; `LIST` is one page.
 */
export type RequestKind = 'PUT' | 'GET' | 'HEAD' | 'LIST' | 'DELETE';

/** Makes attempts until one works, or trying again cannot help, or its time is over. */
export interface Retrier {
  /**
   * @param what - for log lines, as in "write a/b"
   * @param attempt - one request; is told the number of the attempt, from 1
   * @throws the last attempt's error, or the signal's reason
   */
  run<T>(what: string, attempt: (number: number) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export interface BackendTools {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each request as it goes out, also of those that fail: they cost money too. */
  readonly onRequest: (kind: RequestKind) => void;
  /**
   * For steps inside a call that must not be made again as a whole: the parts of a streamed upload. Whole calls are
   * tried again by the wrapper around the backend.
   */
  readonly retrier: Retrier;
}
