import type { IncomingMessage } from 'node:http';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { wholeBody } from '../bounded-body.ts';
import { networkFailureOf } from '../network-failure.ts';
import type { CallOptions, ReadOptions } from '../object-store.ts';
import { objectNotFound, storageFailed } from '../storage-error.ts';
import { untilAborted } from '../until-aborted.ts';
import { isMissingObject } from './failure.ts';
import { isListedMissing } from './listed-missing.ts';
import type { S3Requests } from './requests.ts';

/** An answer whose body is read piece by piece, or let go of. */
export interface OpenObject {
  readonly output: GetObjectCommandOutput;
  readonly body: IncomingMessage;
}

/** The range was outside of the object: there is nothing to read. */
class NothingThere extends Error {}

/**
 * Asks for an object, or a range of it. The caller reads the body to its end or destroys it.
 *
 * @returns undefined when the object ends before the range
 */
export async function openObject(
  requests: S3Requests,
  key: string,
  { offsetBytes = 0, lengthBytes, signal }: ReadOptions,
): Promise<OpenObject | undefined> {
  const { bucket, prefix, location, customerKey } = requests.profile;
  const range = rangeOf(offsetBytes, lengthBytes);
  const input = { Bucket: bucket, Key: prefix + key, ...customerKey };
  const command = { ...input, ...(range === undefined ? {} : { Range: range }) };
  try {
    const output = await requests.run({
      kind: 'GET',
      action: `cannot read ${key} from`,
      signal,
      send: async (client, sending) => client.send(new GetObjectCommand(command), sending),
      meaning: (failure) => {
        if (isMissingObject(failure)) return objectNotFound(location, key, failure.cause);
        return failure.status === 416 ? new NothingThere() : undefined;
      },
    });
    // The type allows for a browser's streams; the handler gives Node's.
    const body = output.Body as unknown as IncomingMessage;
    if (isOfS3(output)) return { output, body };
    body.destroy();
    throw storageFailed(`cannot read ${key} from ${location}: the answer is not one of S3`, {
      retry: true,
      hint: 'Something on the way answers in its place: a proxy, or a page to log in.',
    });
  } catch (error) {
    if (error instanceof NothingThere) return undefined;
    if (await isListedMissing(requests, key, error, { signal })) throw objectNotFound(location, key, error);
    throw error;
  }
}

function isOfS3({ ETag, $metadata }: GetObjectCommandOutput): boolean {
  return ETag !== undefined || $metadata.requestId !== undefined;
}

function rangeOf(offsetBytes: number, lengthBytes: number | undefined): string | undefined {
  if (lengthBytes === undefined) return offsetBytes === 0 ? undefined : `bytes=${offsetBytes}-`;
  // There is no empty range; asking for a byte tells at least whether the object is there.
  return `bytes=${offsetBytes}-${offsetBytes + Math.max(1, lengthBytes) - 1}`;
}

export async function* readObject(
  requests: S3Requests,
  key: string,
  options: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const opened = await openObject(requests, key, options);
  if (opened === undefined) return;
  const { offsetBytes = 0, lengthBytes = Number.POSITIVE_INFINITY, signal } = options;
  // Something in between that does not know ranges answers with the whole object.
  const isWhole = opened.output.ContentRange === undefined;
  let skipBytes = isWhole ? offsetBytes : 0;
  let leftBytes = lengthBytes;
  try {
    for await (const chunk of bodyChunks(requests, key, opened, { signal })) {
      const wanted = chunk.subarray(Math.min(skipBytes, chunk.length)).subarray(0, leftBytes);
      skipBytes -= Math.min(skipBytes, chunk.length);
      leftBytes -= wanted.length;
      if (wanted.length > 0) yield wanted;
      if (leftBytes <= 0) return;
    }
  } finally {
    opened.body.destroy();
  }
}

/**
 * The whole body, nothing left out: one that ends early, stands still or breaks is an error.
 *
 * @throws RivuletError `STORAGE_FAILED`, worth another attempt; the signal's reason
 */
export async function* bodyChunks(
  requests: S3Requests,
  key: string,
  { output, body }: OpenObject,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { idleTimeoutMs } = requests.profile;
  const broken = (problem: string, cause?: unknown): Error =>
    storageFailed(`cannot read ${key} from ${requests.profile.location}: ${problem}`, {
      retry: true,
      cause,
      details: { requestId: output.$metadata.requestId, systemCode: networkFailureOf(cause)?.systemCode },
    });
  const expectedBytes = output.ContentLength;
  let gotBytes = 0;
  try {
    for await (const chunk of untilAborted(notIdle(body, idleTimeoutMs), signal)) {
      gotBytes += chunk.length;
      yield chunk;
      signal?.throwIfAborted();
    }
  } catch (error) {
    signal?.throwIfAborted();
    const message = error instanceof Error ? error.message : String(error);
    throw broken(`the answer broke off after ${gotBytes} bytes (${message})`, error);
  } finally {
    body.destroy();
  }
  if (expectedBytes !== undefined && gotBytes !== expectedBytes)
    throw broken(`the answer ended after ${gotBytes} of ${expectedBytes} bytes`);
}

/** The chunks of a body that gives one at least every `idleMs`. Time that the reader takes does not count. */
async function* notIdle(body: IncomingMessage, idleMs: number): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = body.iterator({ destroyOnReturn: true })[Symbol.asyncIterator]();
  for (;;) {
    const timer = setTimeout(() => body.destroy(new Error(`no progress for ${idleMs} ms`)), idleMs);
    let next: IteratorResult<Uint8Array, unknown>;
    try {
      next = (await iterator.next()) as IteratorResult<Uint8Array, unknown>;
    } finally {
      clearTimeout(timer);
    }
    if (next.done === true) return;
    yield next.value;
  }
}

/** A small object whole. @throws RivuletError `REPLICA_INVALID` when it is longer than `maxBytes` */
export async function readWhole(
  requests: S3Requests,
  key: string,
  maxBytes: number,
  options: CallOptions,
): Promise<{ readonly bytes: Uint8Array; readonly output: GetObjectCommandOutput }> {
  const opened = await openObject(requests, key, options);
  if (opened === undefined) throw objectNotFound(requests.profile.location, key);
  const { location } = requests.profile;
  const bytes = await wholeBody(bodyChunks(requests, key, opened, options), { key, location, maxBytes });
  return { bytes, output: opened.output };
}
