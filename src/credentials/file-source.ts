import type { Clock } from '../base/clock.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { ChangeGuard } from './change-guard.ts';
import { credentialsFailed, whyOf } from './credentials-failed.ts';
import type { CredentialSource, FetchOptions } from './source.ts';
import { identitiesOf, readStill } from './still-file.ts';

export interface KeyFiles {
  readonly description: string;
  readonly paths: readonly string[];
  /**
   * From the texts of the files, undefined for one that is not there.
   *
   * @throws Error with one clause that says what is missing; never with a value
   */
  read(texts: readonly (string | undefined)[]): AwsKeys;
}

/** Keys in files that somebody else rewrites. */
export class FileSource implements CredentialSource {
  readonly #files: KeyFiles;
  readonly #clock: Clock;
  readonly #guard = new ChangeGuard();
  #last: { readonly keys: AwsKeys; readonly identity: string } | undefined;

  constructor(files: KeyFiles, clock: Clock) {
    this.#files = files;
    this.#clock = clock;
  }

  describe(): string {
    return this.#files.description;
  }

  changed(): boolean {
    return this.#last !== undefined && identitiesOf(this.#files.paths) !== this.#last.identity;
  }

  async fetch(signal: AbortSignal, options: FetchOptions = {}): Promise<AwsKeys> {
    try {
      const { texts, identity } = await readStill(this.#files.paths, this.#clock, {
        signal,
        restMs: this.#guard.restMs,
      });
      const keys = this.#files.read(texts);
      this.#guard.assertWhole(this.#last?.keys, keys, options);
      this.#last = { keys, identity };
      return keys;
    } catch (error) {
      signal.throwIfAborted();
      throw credentialsFailed(this.describe(), whyOf(error), { cause: error });
    }
  }
}
