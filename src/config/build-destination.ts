import { buildAbs } from './build-abs.ts';
import { buildS3 } from './build-s3.ts';
import { buildSftp } from './build-sftp.ts';
import {
  authorityOf,
  need,
  networkSettings,
  pathOf,
  bucketPathOf,
  problemOf,
  holdsUser,
} from './destination-parts.ts';
import type { DestinationParts } from './destination-parts.ts';
import type { ReplicaType } from './key-spec.ts';
import { absolutePath } from './paths.ts';
import type { Destination } from './settings.ts';

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
  if (path === undefined) return undefined;
  const { url } = parts.given;
  const looksRelative = url !== undefined && /^file:\/\/[^/]/.test(url);
  const writtenAs = looksRelative ? { writtenAs: url } : {};
  return { type: 'file', path: absolutePath(path, parts.settling), ...writtenAs };
}

function buildGcs(parts: DestinationParts): Destination | undefined {
  const bucket = need(parts, 'bucket', parts.given.bucket ?? parts.url.bucket);
  if (bucket === undefined) return undefined;
  const { endpoint } = parts.settled;
  if (endpoint !== undefined && holdsUser(endpoint)) problemOf(parts, 'endpoint', 'must not hold a user');
  return {
    type: 'gcs',
    bucket,
    path: bucketPathOf(parts),
    endpoint,
    credentialsFile: pathOf(parts, 'credentialsFile'),
    caFile: authorityOf(parts),
    ...networkSettings(parts),
  };
}
