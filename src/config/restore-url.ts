/** The URL of a destination that can be pasted into a command. */
import { defaultPathStyle, regionOfEndpoint } from './build-s3.ts';
import type { ReplicaType } from './key-spec.ts';
import { bucketInUrl, formatReplicaUrl, pathInUrl, valueInUrl } from './replica-url.ts';
import { isAccessPoint } from './s3-access-point.ts';
import { parseS3Host } from './s3-host.ts';
import { REPLICA_KEYS } from './schema.ts';
import type { Destination, FileDestination, S3Destination } from './settings.ts';

type Property = keyof typeof REPLICA_KEYS;

/**
 * A destination as a URL with which a command finds the same objects, on this machine and in this environment: with
 * its endpoint, and with the files that hold its secrets. Never a secret, so one that the configuration holds as text
 * must come from elsewhere; a bucket's keys come from the environment or a `profile`.
 *
 * A relative directory of an sftp replica has no form as a URL; what is shown is the absolute one of that name.
 *
 * @returns undefined for a path at Azure or Google that begins with a slash: a URL names the one without it
 */
export function restoreUrl(destination: Destination): string | undefined {
  const { type, path } = destination;
  if ((type === 'abs' || type === 'gcs') && path.startsWith('/')) return undefined;
  if (destination.type === 'file') return formatReplicaUrl(destination);
  const host = destination.type === 's3' ? s3HostOf(destination) : undefined;
  const told = SHOWN[destination.type].flatMap((property) => {
    const values = host === undefined || !IN_S3_HOST.has(property) ? valuesOf(destination, property) : [];
    return values.map((value) => `${REPLICA_KEYS[property].key}=${valueInUrl(value)}`);
  });
  const place =
    host === undefined ? formatReplicaUrl(destination) : `s3://${host}${pathInUrl(destination.path)}`;
  return told.length === 0 ? place : `${place}?${told.join('&')}`;
}

/**
 * What a command is told to find the replica: its URL, or where that cannot say it the database and the replica of the
 * configuration.
 *
 * @param database - undefined for a replica that was given as a URL, which has one
 */
export function restoreSource(
  destination: Destination,
  replica: string,
  database: string | undefined,
): readonly string[] {
  const url = restoreUrl(destination) ?? (database === undefined ? formatReplicaUrl(destination) : undefined);
  return url === undefined ? ['-replica', replica, database ?? ''] : [url];
}

/** What it takes to get at the objects; what only tunes the way there is left out. */
const SHOWN: Readonly<Record<Exclude<ReplicaType, 'file'>, readonly Property[]>> = {
  s3: ['endpoint', 'region', 'forcePathStyle', 'caFile', 'skipVerify', 'profile', 'sseCustomerKeyPath'],
  gcs: ['endpoint', 'credentialsFile', 'caFile'],
  abs: ['endpoint', 'caFile', 'accountKeyFile', 'sasTokenFile'],
  sftp: [
    'keyPath',
    'keyPassphraseFile',
    'passwordFile',
    'agent',
    'hostKeys',
    'knownHosts',
    'insecureHostKey',
  ],
};

const IN_S3_HOST: ReadonlySet<Property> = new Set<Property>(['endpoint', 'region', 'forcePathStyle']);

/** The host form that says all three of them, which other tools read, too; undefined when there is none. */
function s3HostOf({ bucket, endpoint, region, forcePathStyle }: S3Destination): string | undefined {
  if (endpoint === undefined || isAccessPoint(bucket)) return undefined;
  // Other tools do not read escapes there.
  if (bucketInUrl(bucket) !== bucket) return undefined;
  const host = `${bucket}.${endpoint.replace(/^\w+:\/\//, '')}`;
  if (/[/?#@]/.test(host)) return undefined;
  const read = parseS3Host(host);
  const isSame =
    read.bucket === bucket &&
    read.endpoint === endpoint &&
    read.region === region &&
    read.forcePathStyle === forcePathStyle;
  return isSame ? host : undefined;
}

/** Empty for what goes without saying. */
function valuesOf(destination: Exclude<Destination, FileDestination>, property: Property): string[] {
  const value = (destination as Partial<Record<Property, unknown>>)[property];
  if (destination.type === 's3' && isImplied(destination, property)) return [];
  if (value === undefined || (value === false && property !== 'forcePathStyle')) return [];
  return [value].flat().map(String);
}

function isImplied({ endpoint, region, forcePathStyle }: S3Destination, property: Property): boolean {
  if (property === 'region') return endpoint !== undefined && region === regionOfEndpoint(endpoint);
  return property === 'forcePathStyle' && forcePathStyle === defaultPathStyle(endpoint);
}
