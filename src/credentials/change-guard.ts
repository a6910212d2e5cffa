import { type AwsKeys, sameKeys } from '../storage/aws-keys.ts';
import type { FetchOptions } from './source.ts';

/** A writer that was caught between two values takes its time: its file is whole once it was left alone for so long. */
const SLOW_WRITER_REST_MS = 2_000;

/**
 * Tells whole changes of keys in a file from halves. A new generation of keys shares nothing with the one before. Where some
 * values changed and others did not, the writer is between two of them, and what is there is of no use. Only when the
 * service refused the old keys, or a person asked for a reload, is it taken as it is: then it may be a correction.
 */
export class ChangeGuard {
  #isSlowWriter = false;

  /** For how long the file must have been left alone, beyond what every file needs. */
  get restMs(): number {
    return this.#isSlowWriter ? SLOW_WRITER_REST_MS : 0;
  }

  /** @throws Error with one clause when only some of the values have changed */
  assertWhole(before: AwsKeys | undefined, now: AwsKeys, { refused, reload = false }: FetchOptions): void {
    if (before === undefined || sameKeys(before, now) || reload) return;
    if (refused !== undefined && sameKeys(refused, before)) return;
    if (!sharesPart(before, now)) return;
    this.#isSlowWriter = true;
    throw new Error('only some of its values have changed: it seems to be half written');
  }
}

function sharesPart(a: AwsKeys, b: AwsKeys): boolean {
  return (
    a.accessKeyId === b.accessKeyId ||
    a.secretAccessKey === b.secretAccessKey ||
    (a.sessionToken !== undefined && a.sessionToken === b.sessionToken)
  );
}
