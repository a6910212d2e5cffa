import { DeleteObjectCommand, DeleteObjectsCommand } from '@aws-sdk/client-s3';
import type { DeleteObjectsCommandOutput } from '@aws-sdk/client-s3';
import { isRivuletError } from '../../base/errors.ts';
import type { CallOptions } from '../object-store.ts';
import { removeEach } from '../remove-each.ts';
import { mayRetry, storageFailed } from '../storage-error.ts';
import { isMissingObject, isNotImplemented } from './failure.ts';
import type { S3Requests } from './requests.ts';

/** What one request takes. */
const BATCH = 1_000;
/** Single removals at once, where there are no batches. */
const SINGLES_AT_ONCE = 8;
/** Keys that an error names. */
const KEYS_NAMED = 3;

/** The service has no batches. */
class NoBatches extends Error {}

/** What a batch came to: an answer for each key, or a refusal of the whole. */
type BatchOutcome =
  | { readonly kind: 'answered'; readonly refusals: readonly Refusal[] }
  /** The service has no such request. */
  | { readonly kind: 'unknown' }
  /** This request was refused; a policy may allow single removals all the same. */
  | { readonly kind: 'refused' };

interface Refusal {
  readonly key: string;
  readonly code: string;
}

/** Codes under which an object that is not there is not removed. */
const GONE = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion']);
const PASSING = new Set([
  'InternalError',
  'SlowDown',
  'ServiceUnavailable',
  'RequestTimeout',
  'OperationAborted',
  'unconfirmed',
]);

export class ObjectRemover {
  readonly #requests: S3Requests;
  #hasBatches = true;

  constructor(requests: S3Requests) {
    this.#requests = requests;
  }

  /**
   * Removes objects; what is not there counts as removed.
   *
   * @throws RivuletError `STORAGE_FAILED` or `STORAGE_DENIED` when any is left; the others are removed nevertheless
   */
  async remove(keys: readonly string[], options: CallOptions): Promise<void> {
    const refusals: Refusal[] = [];
    let at = 0;
    for (; this.#hasBatches && keys.length - at > 1; at += BATCH) {
      options.signal?.throwIfAborted();
      const batch = keys.slice(at, at + BATCH);
      const outcome = await this.#removeAtOnce(batch, options);
      if (outcome.kind === 'answered') refusals.push(...outcome.refusals);
      else {
        if (outcome.kind === 'refused') await this.#tryFirst(batch, options);
        this.#hasBatches = false;
        break;
      }
    }
    await this.#removeSingly(keys.slice(at), options);
    if (refusals.length > 0) throw this.#refused(refusals);
  }

  async #removeAtOnce(keys: readonly string[], { signal }: CallOptions): Promise<BatchOutcome> {
    const { bucket, prefix } = this.#requests.profile;
    const Delete = { Objects: keys.map((key) => ({ Key: prefix + key })), Quiet: false };
    try {
      const output = await this.#requests.run({
        kind: 'DELETE',
        action: `cannot remove ${keys.length} objects from`,
        signal,
        send: async (client, sending) =>
          client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete }), sending),
        meaning: (failure) => (isNotImplemented(failure) ? new NoBatches() : undefined),
      });
      return { kind: 'answered', refusals: refusalsOf(keys, prefix, output) };
    } catch (error) {
      if (error instanceof NoBatches) return { kind: 'unknown' };
      if (isRefusedRequest(error)) return { kind: 'refused' };
      throw error;
    }
  }

  /**
   * Whether single removals fare better than the batch, which Ceph refuses as a whole where the policy names a prefix. A few
   * show it: a thousand refusals would tell no more.
   *
   * @throws RivuletError the first refusal, when none of them is removed
   */
  async #tryFirst(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    const first = keys.slice(0, SINGLES_AT_ONCE);
    const results = await Promise.allSettled(first.map(async (key) => this.#removeOne(key, signal)));
    signal?.throwIfAborted();
    const failed = results.filter(({ status }) => status === 'rejected');
    if (failed.length === first.length) throw (failed[0] as PromiseRejectedResult).reason;
  }

  async #removeSingly(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    await removeEach(keys, SINGLES_AT_ONCE, async (key) => this.#removeOne(key, signal), signal);
  }

  async #removeOne(key: string, signal: AbortSignal | undefined): Promise<void> {
    const { bucket, prefix } = this.#requests.profile;
    const input = { Bucket: bucket, Key: prefix + key };
    try {
      await this.#requests.run({
        kind: 'DELETE',
        action: `cannot remove ${key} from`,
        signal,
        send: async (client, sending) => client.send(new DeleteObjectCommand(input), sending),
        meaning: (failure) => (isMissingObject(failure) ? new Gone() : undefined),
      });
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
  }

  #refused(refusals: readonly Refusal[]): Error {
    const named = refusals.slice(0, KEYS_NAMED).map(({ key, code }) => `${key} (${code})`);
    const more = refusals.length - named.length;
    const list = `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
    const isDenied = refusals.every(({ code }) => code === 'AccessDenied');
    return storageFailed(`cannot remove from ${this.#requests.profile.location}: ${list}`, {
      code: isDenied ? 'STORAGE_DENIED' : 'STORAGE_FAILED',
      retry: refusals.some(({ code }) => PASSING.has(code)),
      throttled: refusals.some(({ code }) => code === 'SlowDown'),
      hint: isDenied
        ? "The keys' policy must allow s3:DeleteObject on these objects, and nothing else may lock them."
        : undefined,
      details: { keys: refusals.slice(0, KEYS_NAMED).map(({ key }) => key), left: refusals.length },
    });
  }
}

/** It was not there, so it counts as removed. */
class Gone extends Error {}

/** Whether the service understood, and will not do it: neither broken keys nor a missing bucket, nor what may pass. */
function isRefusedRequest(error: unknown): boolean {
  if (!isRivuletError(error, 'STORAGE_DENIED', 'STORAGE_FAILED') || mayRetry(error)) return false;
  const { status, serviceCode } = error.details;
  return typeof status === 'number' && status >= 400 && status < 500 && serviceCode !== 'NoSuchBucket';
}

/**
 * A status of 200 says nothing about single objects. Every key has to be confirmed: an answer that holds neither
 * removals nor errors, as that of a service which failed after it had begun to answer, removes nothing.
 */
function refusalsOf(keys: readonly string[], prefix: string, output: DeleteObjectsCommandOutput): Refusal[] {
  const refusals = (output.Errors ?? [])
    .filter(({ Code }) => !GONE.has(Code ?? ''))
    .map(({ Key = '', Code = 'unknown error' }) => ({ key: Key.slice(prefix.length), code: Code }));
  const confirmed = (output.Deleted ?? []).length + (output.Errors ?? []).length;
  if (confirmed >= keys.length) return refusals;
  const named = new Set([...(output.Deleted ?? []), ...(output.Errors ?? [])].map(({ Key }) => Key));
  const silent = keys.filter((key) => !named.has(prefix + key));
  return [...refusals, ...silent.map((key) => ({ key, code: 'unconfirmed' }))];
}
