/** Objects written whole: in one request when they are small, else in parts that become an object together. */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { wholeOrParts } from '../body-parts.ts';
import type { ObjectStore, WriteOptions, WrittenObject } from '../object-store.ts';
import { putAgain } from '../put-again.ts';
import { answeredAt } from './clients.ts';
import type { S3Conditions } from './conditions.ts';
import { MultipartUpload } from './multipart-upload.ts';
import { partSizeAt } from './part-sizes.ts';
import type { S3Requests } from './requests.ts';

/** Bytes that are in memory anyway go in one request up to here: one upload in parts is three requests or more. */
const AT_ONCE_BYTES_MAX = 16 * 1024 * 1024;

/** What stands behind a write. */
export interface WriteParts {
  readonly requests: S3Requests;
  readonly conditions: S3Conditions;
  /** Where what an earlier attempt may have written is read back. */
  readonly store: Pick<ObjectStore, 'location' | 'readVersioned'>;
}

/** @throws RivuletError; what a streamed `body` throws; the signal's reason. Nothing is left behind then. */
export async function writeObject(
  { requests, conditions, store }: WriteParts,
  key: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenObject> {
  const { partSizeBytes, preset } = requests.profile;
  const sizeAt = (index: number): number =>
    partSizeAt(index, partSizeBytes, preset.maxParts, preset.equalParts);
  if (body instanceof Uint8Array) {
    if (body.length <= Math.max(AT_ONCE_BYTES_MAX, partSizeBytes))
      return putObject(requests, conditions, key, body, options);
    return new MultipartUpload(requests, conditions, key, options).write(slices(body, sizeAt));
  }
  const parts = await wholeOrParts(body, sizeAt, options.signal);
  if (parts instanceof Uint8Array) {
    return putAgain(store, requests.tools, key, parts, options.signal, async (signal) =>
      putObject(requests, conditions, key, parts, { ...options, signal }),
    );
  }
  return new MultipartUpload(requests, conditions, key, options).write(parts);
}

async function putObject(
  requests: S3Requests,
  conditions: S3Conditions,
  key: string,
  bytes: Uint8Array,
  { onlyIf, signal }: WriteOptions,
): Promise<WrittenObject> {
  const { bucket, prefix, creation, customerKey } = requests.profile;
  const input = { Bucket: bucket, Key: prefix + key, Body: bytes, ...creation, ...customerKey };
  const output = await conditions.write(
    key,
    onlyIf,
    async (fields, meaning) =>
      requests.run({
        kind: 'PUT',
        action: `cannot write ${key} to`,
        signal,
        send: async (client, sending) => client.send(new PutObjectCommand({ ...input, ...fields }), sending),
        meaning,
      }),
    { signal, isProof: true },
  );
  const modifiedAt = answeredAt(output) ?? new Date(requests.tools.clock.now());
  return { key, sizeBytes: bytes.length, modifiedAt, version: conditions.versionOf(output.ETag) };
}

async function* slices(
  bytes: Uint8Array,
  sizeAt: (index: number) => number,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    yield bytes.subarray(at, at + sizeAt(index));
    at += sizeAt(index);
  }
}
