import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { ListingLimits } from '../listing-limits.ts';
import type { CallOptions, ObjectInfo } from '../object-store.ts';
import { storageFailed } from '../storage-error.ts';
import type { S3Requests } from './requests.ts';

/** Every object below a folder. The order is the service's, which may be none. */
export async function* listObjects(
  requests: S3Requests,
  prefix: string,
  options: CallOptions,
): AsyncGenerator<ObjectInfo, void, undefined> {
  for await (const page of pages(requests, prefix, undefined, options)) {
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      const key = relativeKey(requests, decoded(requests, page, Key));
      if (key === undefined) continue;
      if (Size === undefined || LastModified === undefined) throw incomplete(requests, key);
      yield { key, sizeBytes: Size, modifiedAt: LastModified };
    }
  }
}

/** Whether the listing has an object of exactly this key. */
export async function listsKey(requests: S3Requests, key: string, options: CallOptions): Promise<boolean> {
  for await (const page of pages(requests, key, undefined, options)) {
    const keys = (page.Contents ?? []).map(({ Key }) => relativeKey(requests, decoded(requests, page, Key)));
    if (keys.includes(key)) return true;
  }
  return false;
}

/** Names of the folders directly under another, each once. */
export async function listFolderNames(
  requests: S3Requests,
  prefix: string,
  options: CallOptions,
): Promise<string[]> {
  const names = new Set<string>();
  const above = requests.profile.prefix + prefix;
  for await (const page of pages(requests, prefix, '/', options)) {
    for (const { Prefix } of page.CommonPrefixes ?? []) {
      const name = decoded(requests, page, Prefix).slice(above.length).replace(/\/$/, '');
      if (name !== '') names.add(name);
    }
  }
  return [...names];
}

async function* pages(
  requests: S3Requests,
  prefix: string,
  delimiter: string | undefined,
  { signal }: CallOptions,
): AsyncGenerator<ListObjectsV2CommandOutput, void, undefined> {
  const { profile } = requests;
  const limits = new ListingLimits(profile.location);
  let token: string | undefined;
  do {
    const input = {
      Bucket: profile.bucket,
      Prefix: profile.prefix + prefix,
      // Keys may hold what XML cannot.
      EncodingType: 'url',
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    } as const;
    const page = await requests.run({
      kind: 'LIST',
      action: `cannot list ${prefix === '' ? 'objects of' : `${prefix} of`}`,
      signal,
      send: async (client, sending) => client.send(new ListObjectsV2Command(input), sending),
    });
    signal?.throwIfAborted();
    limits.page((page.Contents?.length ?? 0) + (page.CommonPrefixes?.length ?? 0));
    yield page;
    signal?.throwIfAborted();
    token = nextToken(requests, page, token);
  } while (token !== undefined);
}

/** A page may be shorter than asked for, even empty: only what it says of itself tells whether it is the last one. */
function nextToken(
  { profile }: S3Requests,
  page: ListObjectsV2CommandOutput,
  before: string | undefined,
): string | undefined {
  if (page.IsTruncated === undefined)
    throw storageFailed(`cannot list objects of ${profile.location}: the answer is not a listing`, {
      retry: true,
      hint: 'Does this endpoint speak S3?',
    });
  if (!page.IsTruncated) return undefined;
  const token = page.NextContinuationToken;
  if (token === undefined || token === '' || token === before)
    throw storageFailed(
      `cannot list objects of ${profile.location}: there are more, but the answer does not say how to go on`,
      { retry: true, hint: 'The service does not page through listings as S3 does.' },
    );
  return token;
}

/** Some services ignore that the keys were to be encoded, and say so. An element that is repeated comes as a list. */
function decoded(requests: S3Requests, { EncodingType }: ListObjectsV2CommandOutput, value: unknown): string {
  const text = value ?? '';
  if (typeof text !== 'string') {
    const problem = 'an element of the answer is not one text';
    throw storageFailed(`cannot list objects of ${requests.profile.location}: ${problem}`, { retry: true });
  }
  if (EncodingType !== 'url') return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    const problem = 'a key is not encoded as the answer says';
    throw storageFailed(`cannot list objects of ${requests.profile.location}: ${problem}`, { retry: true });
  }
}

/** Undefined for what is no object's key: the marks that consoles make for folders. */
function relativeKey({ profile }: S3Requests, key: string): string | undefined {
  if (!key.startsWith(profile.prefix) || key.endsWith('/')) return undefined;
  const relative = key.slice(profile.prefix.length);
  return relative === '' ? undefined : relative;
}

function incomplete({ profile }: S3Requests, key: string): Error {
  return storageFailed(`cannot list objects of ${profile.location}: size or time of ${key} is missing`, {
    retry: true,
  });
}
