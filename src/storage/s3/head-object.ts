import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { CallOptions } from '../object-store.ts';
import { isMissingHead } from './failure.ts';
import { isListedMissing } from './listed-missing.ts';
import type { S3Requests } from './requests.ts';

class Missing extends Error {}

/** What the service knows of an object; undefined when there is none. */
export async function headObject(
  requests: S3Requests,
  key: string,
  { signal }: CallOptions,
): Promise<HeadObjectCommandOutput | undefined> {
  const { bucket, prefix, customerKey } = requests.profile;
  const input = { Bucket: bucket, Key: prefix + key, ...customerKey };
  try {
    return await requests.run({
      kind: 'HEAD',
      action: `cannot look at ${key} at`,
      signal,
      send: async (client, sending) => client.send(new HeadObjectCommand(input), sending),
      meaning: (failure) => (isMissingHead(failure) ? new Missing() : undefined),
    });
  } catch (error) {
    if (error instanceof Missing || (await isListedMissing(requests, key, error, { signal })))
      return undefined;
    throw error;
  }
}
