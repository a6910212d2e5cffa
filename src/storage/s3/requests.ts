/** One request to S3, with what has to be right before an attempt counts: keys, region and clock. */
import type { S3Client } from '@aws-sdk/client-s3';
import type { BackendTools, RequestKind } from '../backend.ts';
import { S3Clients } from './clients.ts';
import { failed } from './failed.ts';
import { mayBeKeys, otherRegion, readFailure } from './failure.ts';
import type { S3Failure } from './failure.ts';
import { assertPrintable } from './key-text.ts';
import type { AwsKeys, AwsKeySource } from '../aws-keys.ts';
import type { S3Profile } from './options.ts';

/** What goes to the SDK beside a command. */
export interface Sending {
  readonly abortSignal?: AbortSignal;
}

export interface S3Call<T> {
  readonly kind: RequestKind;
  /** For messages, as in "cannot write a/b to". */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
  /** Sends one command. */
  send(client: S3Client, sending: Sending): Promise<T>;
  /** A failure that means something to the caller: the error to throw instead, or undefined. */
  meaning?(failure: S3Failure): Error | undefined;
}

/** Where requests go while nobody knows the region. AWS then names the right one. */
const FIRST_REGION = 'us-east-1';

/** New keys, another region, another clock: each once, and keys may expire twice while a slow body is sent. */
const CORRECTIONS_MAX = 4;

export class S3Requests {
  readonly profile: S3Profile;
  readonly tools: BackendTools;
  readonly #keys: AwsKeySource;
  readonly #clients: S3Clients;
  #region: string;

  constructor(profile: S3Profile, keys: AwsKeySource, tools: BackendTools) {
    this.profile = profile;
    this.tools = tools;
    this.#keys = keys;
    this.#clients = new S3Clients(profile);
    this.#region = profile.region ?? FIRST_REGION;
  }

  /**
   * @throws RivuletError as `failed` makes it, or what `meaning` says; the signal's reason
   */
  async run<T>(call: S3Call<T>): Promise<T> {
    const { signal } = call;
    for (let corrections = 0; ; corrections++) {
      signal?.throwIfAborted();
      const keys = await this.#keys.current(signal);
      assertPrintable(keys, this.profile.location);
      const region = this.#region;
      this.tools.onRequest(call.kind);
      try {
        return await call.send(
          this.#clients.for(keys, region),
          signal === undefined ? {} : { abortSignal: signal },
        );
      } catch (error) {
        signal?.throwIfAborted();
        const failure = readFailure(error);
        if (corrections < CORRECTIONS_MAX && (await this.#corrected(failure, keys, region, signal))) continue;
        throw call.meaning?.(failure) ?? this.failed(call.action, failure, keys, region);
      }
    }
  }

  /** A failure that was noticed later, while a body was read. */
  failed(action: string, failure: S3Failure, keys?: AwsKeys, region: string = this.#region): Error {
    const nowMs = this.tools.clock.now();
    const areKeysExpired = keys?.expiresAtMs !== undefined && keys.expiresAtMs <= nowMs;
    return failed(action, failure, { nowMs, areKeysExpired, region, keys, profile: this.profile });
  }

  close(): void {
    this.#clients.destroy();
  }

  /** Whether what was wrong is right now, so that the request is worth another attempt. */
  async #corrected(
    failure: S3Failure,
    keys: AwsKeys,
    region: string,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const right = otherRegion(failure, region);
    if (right !== undefined && this.profile.region === undefined) {
      this.#region = right;
      return true;
    }
    if (isClockCorrected(failure)) return true;
    return right === undefined && mayBeKeys(failure) && this.#keys.renew(keys, signal);
  }
}

/** The SDK signs with the service's time from now on. */
function isClockCorrected({ cause }: S3Failure): boolean {
  const metadata = (cause as { $metadata?: { clockSkewCorrected?: boolean } } | undefined)?.$metadata;
  return metadata?.clockSkewCorrected === true;
}
