/** Whether two destinations are one, however they are spelt: two replicas there would delete each other's history. */
import { placeOf } from '../base/place-of.ts';
import { cleanPath } from './clean-path.ts';
import { isAwsHost } from './s3-host.ts';
import type { AbsDestination, Destination, GcsDestination, S3Destination } from './settings.ts';

const SFTP_PORT = '22';
const DEFAULT_PORTS: ReadonlySet<string> = new Set(['', '80', '443']);
const GCS_ENDPOINT = 'https://storage.googleapis.com';

/** The same text for two destinations that hold the same objects. */
export function identityOf(destination: Destination): string {
  const { type, path } = destination;
  if (type === 'file') return `file ${placeOf(path)}`;
  if (type === 'sftp') {
    // A path without a slash begins where the login of this user ends up.
    return `sftp ${serverOf(destination.host)} ${destination.user} ${path || '.'}`;
  }
  return `${type} ${bucketService(destination)} ${destination.bucket} ${path}`;
}

function bucketService(destination: S3Destination | AbsDestination | GcsDestination): string {
  const { type, endpoint } = destination;
  if (type === 's3') return s3Service(destination);
  if (type === 'gcs') return serviceOf(endpoint ?? GCS_ENDPOINT);
  return serviceOf(endpoint ?? `https://${destination.accountName ?? ''}.blob.core.windows.net`);
}

/** Names of buckets are unique within a partition of AWS, whatever the region. */
function s3Service({ endpoint, region = '' }: S3Destination): string {
  const host = endpoint === undefined ? undefined : hostOf(endpoint);
  if (host !== undefined && !isAwsHost(host)) return serviceOf(endpoint ?? '');
  const [partition = ''] = /cn-|us-gov-|us-iso[a-z]?-/.exec(`${host ?? ''} ${region}`) ?? [];
  return `aws ${partition}`;
}

/** Host and port of an endpoint, and its path. A server is the same with and without TLS on their usual ports. */
function serviceOf(endpoint: string): string {
  try {
    const { hostname, port, pathname } = new URL(endpoint);
    const usualPort = DEFAULT_PORTS.has(port) ? '' : `:${port}`;
    return `${withoutDot(hostname.toLowerCase())}${usualPort}${cleanPath(pathname)}`;
  } catch {
    return endpoint.toLowerCase();
  }
}

function hostOf(endpoint: string): string {
  try {
    return new URL(endpoint).hostname.toLowerCase();
  } catch {
    return endpoint;
  }
}

/** Of `host`, `host:port`, `[address]:port` or an IPv6 address alone. */
function serverOf(written: string): string {
  const [, bracketed, plain, port = SFTP_PORT] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(written) ?? [];
  return `${withoutDot((bracketed ?? plain ?? written).toLowerCase())} ${Number(port)}`;
}

function withoutDot(host: string): string {
  return host.replace(/\.$/, '');
}
