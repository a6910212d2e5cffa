/** Objects written whole: in one request when they are small, else in parts that become an object together. */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { bodyParts } from '../body-parts.ts';
import type { WriteOptions, WrittenObject } from '../object-store.ts';
import { answeredAt } from './clients.ts';
import type { S3Conditions } from './conditions.ts';
import { MultipartUpload } from './multipart-upload.ts';
import { partSizeAt } from './part-sizes.ts';
import type { S3Requests } from './requests.ts';

/** Bytes that are in memory anyway go in one request up to here: one upload in parts is three requests or more. */
const AT_ONCE_BYTES_MAX = 16 * 1024 * 1024;

/** @throws RivuletError; what a streamed `body` throws; the signal's reason. Nothing is left behind then. */
export async function writeObject(
  requests: S3Requests,
  conditions: S3Conditions,
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
  const parts = bodyParts(body, sizeAt, options.signal);
  const first = await parts.next();
  if (first.done === true) return putObject(requests, conditions, key, new Uint8Array(), options);
  if (first.value.length < sizeAt(0)) {
    // Only the last part is short; the body runs to its end before anything is sent.
    await parts.next();
    return putObject(requests, conditions, key, first.value, options);
  }
  return new MultipartUpload(requests, conditions, key, options).write(resumed(first.value, parts));
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

async function* resumed(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return();
  }
}
