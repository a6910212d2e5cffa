import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type {
  CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommandOutput,
  HeadObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { isRivuletError } from '../../base/errors.ts';
import type { Parts } from '../body-parts.ts';
import type { WriteOptions, WrittenObject } from '../object-store.ts';
import { sendParts } from '../send-parts.ts';
import { storageFailed } from '../storage-error.ts';
import { answeredAt } from './clients.ts';
import { bareEtag } from './conditions.ts';
import type { S3Conditions } from './conditions.ts';
import { isMissingUpload } from './failure.ts';
import { headObject } from './head-object.ts';
import type { S3Requests } from './requests.ts';

/** Attempts to remove the parts of an upload that failed, and how long each may take. */
const ABORT_ATTEMPTS = 3;
const ABORT_TIMEOUT_MS = 5_000;
const ABORT_PAUSE_MS = 250;

/**
 * The answer to the request that begins an upload is waited for a while when nobody wants the upload any more: without its
 * id the upload cannot be removed.
 */
const BEGIN_GRACE_MS = 2_000;

interface SentPart {
  readonly PartNumber: number;
  readonly ETag: string;
}

/** The upload is not known (any more). */
class UploadGone extends Error {}

/**
 * One upload in parts. Parts and the steps around them are tried again by themselves, since the body cannot be asked
 * for once more. An upload that fails takes its parts with it: they would be billed for ever, and no listing shows them.
 */
export class MultipartUpload {
  readonly #requests: S3Requests;
  readonly #conditions: S3Conditions;
  readonly #key: string;
  readonly #options: WriteOptions;
  readonly #parts: SentPart[] = [];
  #sizeBytes = 0;

  constructor(requests: S3Requests, conditions: S3Conditions, key: string, options: WriteOptions) {
    this.#requests = requests;
    this.#conditions = conditions;
    this.#key = key;
    this.#options = options;
  }

  /** @param parts - each but the last as large as the service wants it at least */
  async write(parts: Parts): Promise<WrittenObject> {
    const uploadId = await this.#begin().catch(async (error: unknown) => {
      await parts.return?.();
      throw error;
    });
    try {
      const send = async (part: Uint8Array, index: number, signal: AbortSignal): Promise<void> =>
        this.#sendPart(uploadId, part, index, signal);
      await sendParts(parts, this.#requests.profile.concurrency, send, this.#options.signal);
      return await this.#finish(uploadId);
    } catch (error) {
      await this.#abort(uploadId);
      throw error;
    }
  }

  async #begin(): Promise<string> {
    const { creation, customerKey } = this.#requests.profile;
    const input = { ...this.#object(), ...creation, ...customerKey };
    const { signal } = this.#options;
    const sending = new AbortController();
    let grace: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      grace = setTimeout(() => sending.abort(signal?.reason), BEGIN_GRACE_MS);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const output = await this.#retried(`begin to write ${this.#key}`, async () =>
        this.#requests.run({
          kind: 'PUT',
          action: `cannot begin to write ${this.#key} to`,
          signal: sending.signal,
          send: async (client, options) => client.send(new CreateMultipartUploadCommand(input), options),
        }),
      );
      return this.#idOf(output);
    } finally {
      clearTimeout(grace);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #idOf(output: CreateMultipartUploadCommandOutput): string {
    if (output.UploadId === undefined || output.UploadId === '')
      throw this.#failed('the answer names no upload');
    return output.UploadId;
  }

  async #sendPart(uploadId: string, part: Uint8Array, index: number, signal: AbortSignal): Promise<void> {
    this.#assertRoom(index);
    const number = index + 1;
    const { customerKey } = this.#requests.profile;
    const input = { ...this.#object(), ...customerKey, UploadId: uploadId, PartNumber: number, Body: part };
    const attempt = async (): Promise<string> => {
      const { ETag } = await this.#requests.run({
        kind: 'PUT',
        action: `cannot write part ${number} of ${this.#key} to`,
        signal,
        send: async (client, sending) => client.send(new UploadPartCommand(input), sending),
      });
      if (ETag === undefined || ETag === '') throw this.#failed(`the answer to part ${number} has no ETag`);
      return ETag;
    };
    const etag = await this.#retried(`write part ${number} of ${this.#key}`, attempt, signal);
    this.#parts[index] = { PartNumber: number, ETag: etag };
    this.#sizeBytes += part.length;
  }

  #assertRoom(index: number): void {
    const { maxParts } = this.#requests.profile.preset;
    if (index < maxParts) return;
    throw storageFailed(
      `cannot write ${this.#key} to ${this.#requests.profile.location}: it has more than the ${maxParts} parts that the service takes`,
      { retry: false, hint: 'Set a larger part-size.' },
    );
  }

  async #finish(uploadId: string): Promise<WrittenObject> {
    const { onlyIf, signal } = this.#options;
    const isSure = this.#requests.profile.preset.conditionalComplete;
    const complete = async (): Promise<CompleteMultipartUploadCommandOutput | undefined> =>
      this.#complete(uploadId);
    const output =
      onlyIf === undefined || isSure || this.#conditions.known === 'none'
        ? await complete()
        : await this.#conditions.alone(this.#key, async () => {
            await this.#conditions.look(this.#key, onlyIf, { signal });
            return complete();
          });
    return this.#written(output);
  }

  /** @returns undefined when an earlier attempt had done it, whose answer was lost */
  async #complete(uploadId: string): Promise<CompleteMultipartUploadCommandOutput | undefined> {
    const { signal, onlyIf } = this.#options;
    const input = {
      ...this.#object(),
      ...this.#requests.profile.customerKey,
      UploadId: uploadId,
      MultipartUpload: { Parts: this.#parts },
    };
    const attempt = async (number: number): Promise<CompleteMultipartUploadCommandOutput | undefined> => {
      try {
        return await this.#conditions.write(
          this.#key,
          onlyIf,
          async (fields, meaning) =>
            this.#requests.run({
              kind: 'PUT',
              action: `cannot finish writing ${this.#key} to`,
              signal,
              send: async (client, sending) =>
                client.send(new CompleteMultipartUploadCommand({ ...input, ...fields }), sending),
              meaning: (failure) =>
                isMissingUpload(failure) ? new UploadGone(failure.message) : meaning(failure),
            }),
          { signal, isProof: this.#requests.profile.preset.conditionalComplete },
        );
      } catch (error) {
        if (number > 1 && isAfterSuccess(error) && (await this.#isOurs())) return undefined;
        if (error instanceof UploadGone) throw this.#failed('the service has dropped the upload', error);
        throw error;
      }
    };
    return this.#retried(`finish writing ${this.#key}`, attempt);
  }

  /** Whether the object that is there is the one that this upload makes. */
  async #isOurs(): Promise<boolean> {
    const found = await headObject(this.#requests, this.#key, { signal: this.#options.signal });
    return found !== undefined && this.#looksOurs(found);
  }

  #looksOurs(found: HeadObjectCommandOutput): boolean {
    if (found.ContentLength !== this.#sizeBytes) return false;
    return bareEtag(found.ETag ?? '') === etagOfParts(this.#parts.map(({ ETag }) => ETag));
  }

  /** The time of the object is that of the upload's begin on some services: worth a request beside so many. */
  async #written(output: CompleteMultipartUploadCommandOutput | undefined): Promise<WrittenObject> {
    const found = await headObject(this.#requests, this.#key, {
      signal: this.#options.signal,
    }).catch(() => undefined);
    const answered = output === undefined ? undefined : answeredAt(output);
    const modifiedAt = found?.LastModified ?? answered ?? new Date(this.#requests.tools.clock.now());
    const etag = output?.ETag === undefined || output.ETag === '' ? found?.ETag : output.ETag;
    const version = this.#conditions.versionOf(etag);
    return { key: this.#key, sizeBytes: this.#sizeBytes, modifiedAt, version };
  }

  /** A part whose request was cut off may still arrive after the first removal: so there are two. */
  async #abort(uploadId: string): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const problem = await this.#abortOnce(uploadId);
      if (problem === undefined) continue;
      this.#requests.tools.logger.warn('the parts of an upload that failed are left at the destination', {
        location: this.#requests.profile.location,
        key: this.#key,
        uploadId,
        problem,
        hint: 'a lifecycle rule that aborts incomplete multipart uploads removes them',
      });
      return;
    }
  }

  /** @returns why it did not work */
  async #abortOnce(uploadId: string): Promise<unknown> {
    const input = { ...this.#object(), UploadId: uploadId };
    let problem: unknown;
    for (let attempt = 1; attempt <= ABORT_ATTEMPTS; attempt++) {
      try {
        await this.#requests.run({
          kind: 'DELETE',
          action: `cannot remove the parts of ${this.#key} from`,
          signal: AbortSignal.timeout(ABORT_TIMEOUT_MS),
          send: async (client, sending) => client.send(new AbortMultipartUploadCommand(input), sending),
          meaning: (failure) => (isMissingUpload(failure) ? new UploadGone() : undefined),
        });
        return undefined;
      } catch (error) {
        if (error instanceof UploadGone) return undefined;
        problem = error;
      }
      if (attempt < ABORT_ATTEMPTS) await this.#requests.tools.clock.sleep(ABORT_PAUSE_MS * attempt);
    }
    return problem ?? 'unknown';
  }

  #object(): { readonly Bucket: string; readonly Key: string } {
    const { bucket, prefix } = this.#requests.profile;
    return { Bucket: bucket, Key: prefix + this.#key };
  }

  async #retried<T>(what: string, attempt: (number: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#requests.tools.retrier.run(what, attempt, signal ?? this.#options.signal);
  }

  #failed(problem: string, cause?: unknown): Error {
    return storageFailed(`cannot write ${this.#key} to ${this.#requests.profile.location}: ${problem}`, {
      retry: true,
      cause,
    });
  }
}

/** What a second attempt is told when the first had worked. */
function isAfterSuccess(error: unknown): boolean {
  return error instanceof UploadGone || isRivuletError(error, 'STORAGE_EXISTS');
}

/** The ETag of an object that was made of these parts, where ETags are MD5 sums, as nearly everywhere. */
export function etagOfParts(etags: readonly string[]): string {
  const sums = Buffer.concat(etags.map((etag) => Buffer.from(bareEtag(etag), 'hex')));
  return `${createHash('md5').update(sums).digest('hex')}-${etags.length}`;
}
