import type { Clock } from '../base/clock.ts';
import type { AwsKeys } from '../storage/s3/keys.ts';
import { credentialsFailed, whyOf } from './credentials-failed.ts';
import { sameKeys } from './refresh-policy.ts';
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
      const { texts, identity } = await readStill(this.#files.paths, this.#clock, signal);
      const keys = this.#files.read(texts);
      assertWholeChange(this.#last?.keys, keys, options);
      this.#last = { keys, identity };
      return keys;
    } catch (error) {
      signal.throwIfAborted();
      throw credentialsFailed(this.describe(), whyOf(error), { cause: error });
    }
  }
}

/**
 * A new generation of keys shares nothing with the one before. Where some values changed and others did not, the writer
 * is between two of them, and what is there is of no use. Only when the service refused the old keys, or a person asked for
 * a reload, is it taken as it is: then it may be a correction of one value.
 *
 * @throws Error with one clause
 */
export function assertWholeChange(
  before: AwsKeys | undefined,
  now: AwsKeys,
  { refused, reload = false }: FetchOptions,
): void {
  if (before === undefined || sameKeys(before, now) || reload) return;
  if (refused !== undefined && sameKeys(refused, before)) return;
  const shared =
    before.accessKeyId === now.accessKeyId ||
    before.secretAccessKey === now.secretAccessKey ||
    (before.sessionToken !== undefined && before.sessionToken === now.sessionToken);
  if (shared) throw new Error('only some of its values have changed: it seems to be half written');
}
