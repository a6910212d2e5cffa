import { EMPTIED_BY_VARIABLE } from './expand-environment.ts';
import type { Given, ReplicaType } from './key-spec.ts';
import { absolutePath } from './paths.ts';
import { isUrl } from './replica-url.ts';
import type { ReplicaUrl } from './replica-url.ts';
import { REPLICA_KEYS } from './schema.ts';
import type { Destination, S3Destination } from './settings.ts';
import type { Settling } from './settle.ts';

/** S3 credentials for replicas that have none of their own. */
export type SharedCredentials = Pick<Given<'root'>, 'accessKeyId' | 'secretAccessKey'>;

type Property = keyof typeof REPLICA_KEYS;

/** The region that v0.3.13 takes for a service of its own address. */
const DEFAULT_REGION = 'us-east-1';

/** What a destination is made of. */
export interface DestinationParts {
  readonly given: Given<'replica'>;
  /** Without a `url` key: just the type. */
  readonly url: ReplicaUrl;
  readonly shared: SharedCredentials;
  readonly settling: Settling;
}

/** The complete destination; undefined when something it needs is missing, which is reported. */
export function buildDestination(parts: DestinationParts): Destination | undefined {
  return BUILDERS[parts.url.type](parts);
}

const BUILDERS: Readonly<Record<ReplicaType, (parts: DestinationParts) => Destination | undefined>> = {
  file: buildFile,
  s3: buildS3,
  gcs: buildGcs,
  abs: buildAbs,
  sftp: buildSftp,
};

function buildFile(parts: DestinationParts): Destination | undefined {
  const path = need(parts, 'path', parts.given.path ?? parts.url.path);
  return path === undefined ? undefined : { type: 'file', path: absolutePath(path, parts.settling) };
}

function buildS3(parts: DestinationParts): S3Destination | undefined {
  const { given, url } = parts;
  const bucket = need(parts, 'bucket', given.bucket ?? url.bucket);
  const credentials = s3Credentials(parts);
  if (bucket === undefined || credentials === undefined) return undefined;
  const endpoint = withScheme(given.endpoint) ?? url.endpoint;
  return {
    type: 's3',
    bucket,
    path: prefix(parts),
    endpoint,
    region: given.region ?? url.region ?? (endpoint === undefined ? undefined : DEFAULT_REGION),
    // A URL whose host is not AWS wins over an explicit false, as in v0.3.13.
    forcePathStyle: url.forcePathStyle === true || (given.forcePathStyle ?? given.endpoint !== undefined),
    skipVerify: given.skipVerify ?? false,
    ...credentials,
  };
}

function buildGcs(parts: DestinationParts): Destination | undefined {
  const bucket = need(parts, 'bucket', parts.given.bucket ?? parts.url.bucket);
  return bucket === undefined ? undefined : { type: 'gcs', bucket, path: prefix(parts) };
}

function buildAbs(parts: DestinationParts): Destination | undefined {
  const { given, url, settling } = parts;
  const bucket = need(parts, 'bucket', given.bucket ?? url.bucket);
  if (bucket === undefined) return undefined;
  return {
    type: 'abs',
    accountName: given.accountName ?? url.accountName,
    accountKey: given.accountKey ?? fromEnvironment(settling, REPLICA_KEYS.accountKey.environment),
    bucket,
    path: prefix(parts),
    endpoint: given.endpoint,
  };
}

function buildSftp(parts: DestinationParts): Destination | undefined {
  const { given, url, settling } = parts;
  const host = need(parts, 'host', given.host ?? url.host);
  const user = need(parts, 'user', given.user ?? (url.user || undefined));
  if (host === undefined || user === undefined) return undefined;
  return {
    type: 'sftp',
    host,
    user,
    password: given.password ?? url.password,
    path: given.path ?? url.path,
    keyPath: given.keyPath === undefined ? undefined : absolutePath(given.keyPath, settling),
  };
}

/** The value, or a report that a replica of this type needs it (unless its value was refused already). */
function need(parts: DestinationParts, property: Property, value: string | undefined): string | undefined {
  if (value !== undefined && value !== '') return value;
  const { given, settling, url } = parts;
  const { key } = REPLICA_KEYS[property];
  const emptied = (['url', property] as const).find(
    (name) => given[name] === undefined && settling.has(given, name),
  );
  if (given.url !== undefined) {
    settling.problem(given, 'url', `names no ${key}, which a replica of type ${url.type} needs`);
  } else if (emptied === undefined) {
    settling.problem(given, undefined, `a replica of type ${url.type} needs \`${key}\` or a \`url\``);
  } else if (!settling.wasReported(given, emptied)) {
    settling.problem(given, emptied, EMPTIED_BY_VARIABLE);
  }
  return undefined;
}

function prefix(parts: DestinationParts): string {
  const path = parts.given.path ?? parts.url.path;
  return path === '.' ? '' : path.replace(/(?<=.)\/+$/, '');
}

/** v0.3.13 takes an endpoint without a scheme as https. */
function withScheme(endpoint: string | undefined): string | undefined {
  return endpoint === undefined || isUrl(endpoint) ? endpoint : `https://${endpoint}`;
}

/** Key and secret: the replica's, else the file's, else Litestream's variables; undefined when only one is known. */
function s3Credentials(
  parts: DestinationParts,
): Pick<S3Destination, 'accessKeyId' | 'secretAccessKey'> | undefined {
  const { given, shared, settling } = parts;
  const accessKeyId = given.accessKeyId ?? shared.accessKeyId;
  const secretAccessKey = given.secretAccessKey ?? shared.secretAccessKey;
  if ((accessKeyId === undefined) === (secretAccessKey === undefined))
    return { accessKeyId, secretAccessKey };
  const [present, missing] =
    accessKeyId === undefined
      ? ['secret-access-key', 'access-key-id']
      : ['access-key-id', 'secret-access-key'];
  settling.problem(given, undefined, `has \`${present}\` without \`${missing}\``);
  return undefined;
}

function fromEnvironment(settling: Settling, name: string): string | undefined {
  return settling.environment[name] || undefined;
}
