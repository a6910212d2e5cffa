import {
  authorityOf,
  need,
  networkSettings,
  bucketPathOf,
  problemOf,
  holdsUser,
} from './destination-parts.ts';
import type { DestinationParts } from './destination-parts.ts';
import { isUrl } from './replica-url.ts';
import { regionOfAccessPoint } from './s3-access-point.ts';
import { customerKeySettings } from './s3-customer-key.ts';
import { parseS3Host, wantsVirtualHost } from './s3-host.ts';
import { resolveS3Keys } from './s3-keys.ts';
import type { S3Destination } from './settings.ts';

/** The region that v0.3.13 takes for a service of its own address. */
const DEFAULT_REGION = 'us-east-1';

export function buildS3(parts: DestinationParts): S3Destination | undefined {
  const { given, url, settled } = parts;
  const bucket = need(parts, 'bucket', given.bucket ?? url.bucket);
  const keys = resolveS3Keys(parts);
  if (bucket === undefined || keys === undefined) return undefined;
  const endpoint = endpointOf(parts);
  return {
    type: 's3',
    bucket,
    path: bucketPathOf(parts),
    endpoint,
    region: settled.region ?? url.region ?? regionOfAccessPoint(bucket) ?? regionOfEndpoint(endpoint),
    forcePathStyle: forcePathStyle(parts, endpoint),
    caFile: authorityOf(parts),
    skipVerify: settled.skipVerify,
    storageClass: settled.storageClass,
    sseKmsKeyId: settled.sseKmsKeyId,
    ...customerKeySettings(parts, endpoint),
    partSizeBytes: settled.partSizeBytes,
    concurrency: settled.concurrency,
    signPayload: settled.signPayload,
    requireContentMd5: settled.requireContentMd5,
    ...keys,
    ...networkSettings(parts),
  };
}

/** What is written, else what the URL's host says, else Litestream's variable. */
function endpointOf(parts: DestinationParts): string | undefined {
  const { settled, url, settling } = parts;
  const variable = settling.environment['LITESTREAM_S3_ENDPOINT'] || undefined;
  const endpoint = withScheme(settled.endpoint) ?? url.endpoint ?? withScheme(variable);
  if (endpoint !== undefined && holdsUser(endpoint)) {
    problemOf(parts, 'endpoint', 'must not hold a user or a key; give `access-key-id` and its secret');
  }
  return endpoint;
}

/** v0.3.13 takes an endpoint without a scheme as https. */
function withScheme(endpoint: string | undefined): string | undefined {
  return endpoint === undefined || isUrl(endpoint) ? endpoint : `https://${endpoint}`;
}

/** The region of a service whose address is known; undefined for AWS itself. */
export function regionOfEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined;
  return parseS3Host(hostOf(endpoint)).region ?? DEFAULT_REGION;
}

/** Explicit in the URL; else a host that is not AWS wins over an explicit false, as in v0.3.13. */
function forcePathStyle({ given, url, settled }: DestinationParts, endpoint: string | undefined): boolean {
  if (given.forcePathStyle === undefined && settled.forcePathStyle !== undefined)
    return settled.forcePathStyle;
  if (url.forcePathStyle === true) return true;
  const isOwnService = endpoint !== undefined && endpoint !== url.endpoint;
  return settled.forcePathStyle ?? (isOwnService && defaultPathStyle(endpoint));
}

/** Whether requests name the bucket in their path when nobody says how. */
export function defaultPathStyle(endpoint: string | undefined): boolean {
  return endpoint !== undefined && !wantsVirtualHost(hostOf(endpoint));
}

function hostOf(endpoint: string): string {
  return endpoint.replace(/^\w+:\/\//, '').replace(/[/?#].*$/s, '');
}
