import { suggest } from '../base/suggest.ts';
import { cleanPath } from './clean-path.ts';
import { escapedPath, splitUrl, unescape } from './go-url.ts';
import type { GoUrl } from './go-url.ts';
import type { Given, ReplicaType } from './key-spec.ts';
import { isAccessPoint, splitAccessPoint } from './s3-access-point.ts';
import { parseS3Host } from './s3-host.ts';
import { REPLICA_KEYS } from './schema.ts';
import type { Destination, FileDestination } from './settings.ts';
import { readUrlQuery } from './url-query.ts';

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
  /** What stands behind the `?`. */
  readonly options?: Given<'replica'>;
}

type UrlResult = ReplicaUrl | { readonly problem: string };

/** True for `scheme://…`, by the same rule as v0.3.13. A Windows path (`C:\…`) is not a URL. */
export function isUrl(text: string): boolean {
  return /^\w+:\/\//.test(text);
}

/**
 * Reads a replica URL of any type that v0.3.13 has.
 *
 * @returns the settings, or `{ problem }` with a sentence that says what is wrong and never repeats a password or a key.
 */
export function parseReplicaUrl(text: string): UrlResult {
  const url = splitUrl(text);
  if (url === undefined) return { problem: 'expected a replica URL, for example file:///var/backups/app' };
  const read = READERS.get(url.scheme);
  return read === undefined ? { problem: unknownScheme(url.scheme) } : read(url);
}

const READERS: ReadonlyMap<string, (url: GoUrl) => UrlResult> = new Map([
  ['file', readFile],
  ['s3', readS3],
  ['gcs', readGcs],
  ['gs', readGcs],
  ['abs', readAbs],
  ['sftp', readSftp],
]);

/** `file:///abs`. There are no relative file URLs: `file://rel/p` is `/rel/p`. Escapes are part of the name. */
function readFile(url: GoUrl): ReplicaUrl {
  const written = `/${url.host}${escapedPath(url.rawPath)}${url.suffix}`;
  return { type: 'file', path: cleanPath(written) };
}

function readS3(url: GoUrl): UrlResult {
  const accessPoint = splitAccessPoint(`${url.host}${url.rawPath}`);
  if (accessPoint !== undefined) {
    const { bucket, path } = accessPoint;
    return withQuery(url, { type: 's3', path: prefixOf(path), bucket });
  }
  if (url.host.startsWith('arn:')) return { problem: 'names no access point, the only ARN that can be used' };
  if (url.user !== undefined || looksLikeKeys(url)) return { problem: KEYS_IN_URL };
  const host = parseS3Host(url.host);
  const isServerAlone = host.bucket === undefined && url.host !== '';
  const place = isServerAlone
    ? bucketInPath(url.rawPath)
    : { bucket: bucketOf(host.bucket), path: prefixOf(url.rawPath) };
  return withQuery(url, { type: 's3', ...host, ...place });
}

const KEYS_IN_URL =
  'must not hold access keys; give them as `access-key-id` and `secret-access-key` in the configuration, or as ' +
  'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment. A colon in the name of a bucket is written %3A';

/** What cannot stand in the host of a URL is escaped there, such as the colon of Ceph's `tenant:bucket`. */
function bucketOf(written: string | undefined): string | undefined {
  return written === undefined ? undefined : unescape(written) || undefined;
}

/** A secret may have a slash in it, which puts the `@` behind it into the path. No host and no bucket has such a colon. */
function looksLikeKeys({ host }: GoUrl): boolean {
  return host.includes(':') && !/^(?:[^:[\]]*|[^:[\]]*\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host);
}

/** The URL names a server only: the bucket is the first part of the path. */
function bucketInPath(rawPath: string): { readonly bucket: string | undefined; readonly path: string } {
  const [, bucket = '', rest = ''] = /^\/*([^/]*)(.*)$/s.exec(rawPath) ?? [];
  return { bucket: unescape(bucket) || undefined, path: prefixOf(rest) };
}

function readGcs(url: GoUrl): UrlResult {
  if (url.user !== undefined) return { problem: 'must not hold a user or a key; give `credentials-file`' };
  return withQuery(url, { type: 'gcs', path: prefixOf(url.rawPath), bucket: bucketOf(url.host) });
}

function readAbs(url: GoUrl): UrlResult {
  if (url.password !== undefined) {
    return { problem: 'must not hold a key; give `account-key`, or LITESTREAM_AZURE_ACCOUNT_KEY' };
  }
  const bucket = bucketOf(url.host);
  return withQuery(url, { type: 'abs', path: prefixOf(url.rawPath), bucket, accountName: url.user });
}

function readSftp(url: GoUrl): UrlResult {
  const { user, password } = url;
  return withQuery(url, {
    type: 'sftp',
    path: unescape(url.rawPath),
    host: url.host || undefined,
    user,
    password,
  });
}

function withQuery(url: GoUrl, parts: ReplicaUrl): UrlResult {
  if (url.suffix === '') return parts;
  const query = readUrlQuery(parts.type, url.suffix);
  return 'problem' in query ? query : { ...parts, options: query.options };
}

/** `s3://bucket`, where v0.3.13 has `.`, is the empty prefix: both name the same objects. */
function prefixOf(rawPath: string): string {
  const path = cleanPath(unescape(rawPath));
  return path === '.' ? '' : path.replace(/^\//, '');
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
  // Part of the objects' names there, and nothing that a URL could say.
  const slash = (type === 'abs' || type === 'gcs') && path.startsWith('/') ? '/' : '';
  return `${type}://${authorityOf(destination)}${slash}${pathInUrl(path)}`;
}

function authorityOf(destination: Exclude<Destination, FileDestination>): string {
  if (destination.type === 'sftp') return `${encodeURIComponent(destination.user)}@${destination.host}`;
  const hasAccount = destination.type === 'abs' && destination.accountName !== undefined;
  return `${hasAccount ? `${valueInUrl(destination.accountName)}@` : ''}${bucketInUrl(destination.bucket)}`;
}

/** A bucket's name as the host of a URL; the name of an access point stands there as it is. */
export function bucketInUrl(bucket: string): string {
  return isAccessPoint(bucket) ? bucket : encodeURIComponent(bucket);
}

/** The path with a slash before it; what would end it, or be taken for an escape, is escaped. */
export function pathInUrl(path: string): string {
  return path === '' ? '' : `/${valueInUrl(path.replace(/^\//, ''))}`;
}

/** Escaped as far as it must be: people read it. */
export function valueInUrl(text: string): string {
  return encodeURIComponent(text).replace(/%(?:2F|3A|40|2C|3D)/g, decodeURIComponent);
}
