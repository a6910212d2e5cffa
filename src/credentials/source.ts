import type { AwsKeys } from '../storage/aws-keys.ts';

export interface FetchOptions {
  /** Keys that the service has just refused: what is cached is to be looked at again. */
  readonly refused?: AwsKeys | undefined;
  /** A person asked for it (SIGHUP): what was given up is to be tried again. */
  readonly reload?: boolean;
}

/**
 * Somewhere that keys come from. It asks once and remembers as little as possible: caching, refreshing ahead of time and
 * trying again are done by `KeyKeeper` for all of them. It is never asked twice at the same time.
 */
export interface CredentialSource {
  /** For people, as in "environment file /etc/rivulet.env"; never a secret. */
  describe(): string;
  /** @throws RivuletError `CREDENTIALS_FAILED`, or the signal's reason */
  fetch(signal: AbortSignal, options?: FetchOptions): Promise<AwsKeys>;
  /**
   * Whether what the last keys were read from looks different now. Called before each request, so it costs next to nothing. A
   * source that cannot know has no such method.
   */
  changed?(): boolean;
  /** Lets go of what it holds; nothing is asked afterwards. */
  close?(): Promise<void>;
}
