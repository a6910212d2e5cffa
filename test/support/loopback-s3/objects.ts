/** What the loopback server keeps: objects and uploads under way, in memory. */
import { createHash } from 'node:crypto';

export interface StoredObject {
  readonly bytes: Buffer;
  /** Without quotes. */
  readonly etag: string;
  readonly modifiedAt: Date;
  /** Headers of the request that made it, in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Map<number, { readonly bytes: Buffer; readonly etag: string }>;
}

export interface Bucket {
  readonly objects: Map<string, StoredObject>;
  /** By upload id. */
  readonly uploads: Map<string, Upload>;
}

export function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** The parts that a completion names, joined; a string is the S3 code of what is wrong with them. */
export function joinParts(
  upload: Upload,
  named: readonly { readonly number: number; readonly etag: string }[],
): { readonly bytes: Buffer; readonly etag: string } | string {
  const parts = named.map(({ number, etag }) => {
    const part = upload.parts.get(number);
    return part?.etag === etag ? part : undefined;
  });
  if (named.length === 0) return 'MalformedXML';
  if (named.some(({ number }, i) => i > 0 && number <= named[i - 1]!.number)) return 'InvalidPartOrder';
  const present = parts.filter((part) => part !== undefined);
  if (present.length < parts.length) return 'InvalidPart';
  if (present.slice(0, -1).some(({ bytes }) => bytes.length < 5 * 1024 * 1024)) return 'EntityTooSmall';
  const sums = Buffer.concat(present.map(({ etag }) => Buffer.from(etag, 'hex')));
  return {
    bytes: Buffer.concat(present.map(({ bytes }) => bytes)),
    etag: `${md5(sums)}-${present.length}`,
  };
}
