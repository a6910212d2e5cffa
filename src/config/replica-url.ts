import { posix } from 'node:path';

import { suggest } from '../base/suggest.ts';
import { escapedPath, splitUrl, unescape } from './go-url.ts';
import type { GoUrl } from './go-url.ts';
import type { ReplicaType } from './key-spec.ts';
import { parseS3Host } from './s3-host.ts';
import { REPLICA_KEYS } from './schema.ts';
import type { Destination, FileDestination } from './settings.ts';

/** What a replica URL says; the same properties that the keys of a replica have. What it does not say is undefined. */
export interface ReplicaUrl {
  readonly type: ReplicaType;
  /** Absolute directory for file; prefix without slashes at its ends for buckets; directory on the server for sftp. */
  readonly path: string;
  readonly bucket?: string | undefined;
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly forcePathStyle?: boolean;
  readonly accountName?: string | undefined;
  readonly host?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}

/** True for `scheme://…`, by the same rule as v0.3.13. A Windows path (`C:\…`) is not a URL. */
export function isUrl(text: string): boolean {
  return /^\w+:\/\//.test(text);
}

/**
 * Reads a replica URL of any type that v0.3.13 has.
 *
 * @returns the settings, or `{ problem }` with a sentence that says what is wrong and never repeats a password.
 */
export function parseReplicaUrl(text: string): ReplicaUrl | { readonly problem: string } {
  const url = splitUrl(text);
  if (url === undefined) return { problem: 'expected a replica URL, for example file:///var/backups/app' };
  const read = READERS.get(url.scheme);
  return read === undefined ? { problem: unknownScheme(url.scheme) } : read(url);
}

const READERS: ReadonlyMap<string, (url: GoUrl) => ReplicaUrl> = new Map([
  ['file', readFile],
  ['s3', readS3],
  ['gcs', readGcs],
  ['abs', readAbs],
  ['sftp', readSftp],
]);

/** `file:///abs`. There are no relative file URLs: `file://rel/p` is `/rel/p`. Escapes are part of the name. */
function readFile(url: GoUrl): ReplicaUrl {
  const written = `/${url.host}${escapedPath(url.rawPath)}${url.suffix}`;
  return { type: 'file', path: cleanPath(written) };
}

function readS3(url: GoUrl): ReplicaUrl {
  return { type: 's3', path: prefixOf(url), ...parseS3Host(url.host) };
}

function readGcs(url: GoUrl): ReplicaUrl {
  return { type: 'gcs', path: prefixOf(url), bucket: url.host || undefined };
}

function readAbs(url: GoUrl): ReplicaUrl {
  return { type: 'abs', path: prefixOf(url), bucket: url.host || undefined, accountName: url.user };
}

function readSftp(url: GoUrl): ReplicaUrl {
  const { user, password } = url;
  return { type: 'sftp', path: unescape(url.rawPath), host: url.host || undefined, user, password };
}

/** `s3://bucket`, where v0.3.13 has `.`, is the empty prefix: both name the same objects. */
function prefixOf(url: GoUrl): string {
  const path = cleanPath(unescape(url.rawPath));
  return path === '.' ? '' : path.replace(/^\//, '');
}

function cleanPath(path: string): string {
  const normal = posix.normalize(path).replace(/^\/{2,}/, '/');
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}

function unknownScheme(scheme: string): string {
  const types = REPLICA_KEYS.type.choices;
  const similar = suggest(scheme, types);
  const hint = similar === undefined ? '' : `; did you mean \`${similar}://\`?`;
  return `unknown kind of replica \`${scheme}://\`; expected one of ${types.map((type) => `${type}://`).join(', ')}${hint}`;
}

/** A destination as a URL, for messages and listings. Never a secret: a password is left out. */
export function formatReplicaUrl(destination: Destination): string {
  const { type, path } = destination;
  if (type === 'file') return `file://${path}`;
  return `${type}://${authorityOf(destination)}${path === '' ? '' : `/${path.replace(/^\//, '')}`}`;
}

function authorityOf(destination: Exclude<Destination, FileDestination>): string {
  if (destination.type === 'sftp') return `${encodeURIComponent(destination.user)}@${destination.host}`;
  const hasAccount = destination.type === 'abs' && destination.accountName !== undefined;
  return `${hasAccount ? `${destination.accountName}@` : ''}${destination.bucket}`;
}
