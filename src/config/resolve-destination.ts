import type { Given, ReplicaType } from './key-spec.ts';
import { EMPTIED_BY_VARIABLE } from './expand-environment.ts';
import { absolutePath } from './paths.ts';
import { isUrl, parseReplicaUrl } from './replica-url.ts';
import type { ReplicaUrl } from './replica-url.ts';
import { REPLICA_KEYS } from './schema.ts';
import type { Destination, S3Destination } from './settings.ts';
import type { Settling } from './settle.ts';

/** S3 credentials for replicas that have none of their own. */
export type SharedCredentials = Pick<Given<'root'>, 'accessKeyId' | 'secretAccessKey'>;

type GivenReplica = Given<'replica'>;
type Property = keyof typeof REPLICA_KEYS;

/** The region that v0.3.13 takes for a service of its own address. */
const DEFAULT_REGION = 'us-east-1';

/**
 * The destination that a replica's keys and URL describe. A key wins over the same part of the URL, except for those that
 * may not be given twice.
 *
 * @returns undefined when it is incomplete or contradictory; the problems are reported.
 */
export function resolveDestination(
  given: GivenReplica,
  shared: SharedCredentials,
  settling: Settling,
): Destination | undefined {
  const url = readUrl(given, settling);
  const type = url === undefined ? typeOf(given, settling) : url?.type;
  if (type === undefined || url === null) return undefined;
  warnOfOtherType(given, type, settling);
  refuseForeignKeys(given, type, settling);
  if (refuseDoubleKeys(given, type, settling)) return undefined;
  return BUILDERS[type]({ given, url: url ?? { type, path: '' }, shared, settling });
}

/** The URL's parts; undefined when there is no URL, null when it cannot be used. */
function readUrl(given: GivenReplica, settling: Settling): ReplicaUrl | undefined | null {
  if (given.path !== undefined && isUrl(given.path)) {
    settling.problem(given, 'path', 'is a URL; write it under `url`');
    return null;
  }
  if (given.url === undefined) return undefined;
  const url = parseReplicaUrl(given.url);
  if (!('problem' in url)) return url;
  settling.problem(given, 'url', url.problem);
  return null;
}

/** The type without a URL; undefined when the file has one that could not be read. */
function typeOf(given: GivenReplica, settling: Settling): ReplicaType | undefined {
  if (given.type !== undefined) return given.type;
  const isRefused = settling.wasReported(given, 'type') || settling.wasReported(given, 'url');
  return isRefused ? undefined : 'file';
}

function warnOfOtherType(given: GivenReplica, type: ReplicaType, settling: Settling): void {
  if (given.type === undefined || given.type === type) return;
  settling.warning(given, 'type', `the URL says ${type}, so the type ${given.type} is not used`);
}

function refuseForeignKeys(given: GivenReplica, type: ReplicaType, settling: Settling): void {
  for (const property of Object.keys(REPLICA_KEYS) as Property[]) {
    const types = typesOf(property);
    if (given[property] === undefined || types === undefined || types.includes(type)) continue;
    const owners = types.join(', ');
    settling.problem(given, property, `is a key of ${owners} replicas; this replica is of type ${type}`);
  }
}

function typesOf(property: Property): readonly ReplicaType[] | undefined {
  const spec = REPLICA_KEYS[property];
  return 'types' in spec ? spec.types : undefined;
}

/** The parts of a URL that v0.3.13 does not let a key repeat. */
function refuseDoubleKeys(given: GivenReplica, type: ReplicaType, settling: Settling): boolean {
  if (given.url === undefined) return false;
  const place: Property | undefined = type === 'file' ? undefined : type === 'sftp' ? 'host' : 'bucket';
  const double = (['path', place] as const).filter((key) => key !== undefined && given[key] !== undefined);
  for (const property of double) {
    settling.problem(given, property, `cannot be given beside \`url\`, which says it already`);
  }
  return double.length > 0;
}

interface Parts {
  readonly given: GivenReplica;
  readonly url: ReplicaUrl;
  readonly shared: SharedCredentials;
  readonly settling: Settling;
}

const BUILDERS: Readonly<Record<ReplicaType, (parts: Parts) => Destination | undefined>> = {
  file: buildFile,
  s3: buildS3,
  gcs: buildGcs,
  abs: buildAbs,
  sftp: buildSftp,
};

function buildFile(parts: Parts): Destination | undefined {
  const path = need(parts, 'path', parts.given.path ?? parts.url.path);
  return path === undefined ? undefined : { type: 'file', path: absolutePath(path, parts.settling) };
}

function buildS3(parts: Parts): S3Destination | undefined {
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

function buildGcs(parts: Parts): Destination | undefined {
  const bucket = need(parts, 'bucket', parts.given.bucket ?? parts.url.bucket);
  return bucket === undefined ? undefined : { type: 'gcs', bucket, path: prefix(parts) };
}

function buildAbs(parts: Parts): Destination | undefined {
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

function buildSftp(parts: Parts): Destination | undefined {
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
function need(parts: Parts, property: Property, value: string | undefined): string | undefined {
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

function prefix(parts: Parts): string {
  const path = parts.given.path ?? parts.url.path;
  return path === '.' ? '' : path.replace(/(?<=.)\/+$/, '');
}

/** v0.3.13 takes an endpoint without a scheme as https. */
function withScheme(endpoint: string | undefined): string | undefined {
  return endpoint === undefined || isUrl(endpoint) ? endpoint : `https://${endpoint}`;
}

/** Key and secret: the replica's, else the file's, else Litestream's variables; undefined when only one is known. */
function s3Credentials(parts: Parts): Pick<S3Destination, 'accessKeyId' | 'secretAccessKey'> | undefined {
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
