/** The keys that requests to S3 are signed with, and where the S3 backend gets them. */

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Milliseconds since 1970; undefined when they do not expire, or nobody knows when. */
  readonly expiresAtMs?: number | undefined;
}

export interface AwsKeySource {
  /** Keys to sign with now; waits only when there are none that are still valid. @throws RivuletError `CREDENTIALS_FAILED` */
  current(signal?: AbortSignal): Promise<AwsKeys>;
  /**
   * The service refused `used`, as expired or otherwise. Asks the source once more, unless newer ones are at hand.
   *
   * @returns whether `current()` gives other keys now, so that the request is worth another attempt
   */
  renew(used: AwsKeys, signal?: AbortSignal): Promise<boolean>;
}

/** Whether both are the same key, secret and token. */
export function sameKeys(a: AwsKeys, b: AwsKeys): boolean {
  return (
    a.accessKeyId === b.accessKeyId &&
    a.secretAccessKey === b.secretAccessKey &&
    (a.sessionToken ?? '') === (b.sessionToken ?? '')
  );
}
