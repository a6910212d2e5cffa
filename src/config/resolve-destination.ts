import { buildDestination } from './build-destination.ts';
import type { ReplicaProperty as Property, SharedKeys } from './destination-parts.ts';
import type { Given, ReplicaType } from './key-spec.ts';
import { isUrl, parseReplicaUrl } from './replica-url.ts';
import type { ReplicaUrl } from './replica-url.ts';
import { REPLICA_KEYS } from './schema.ts';
import type { Destination } from './settings.ts';
import { settle } from './settle.ts';
import type { Settling } from './settle.ts';

type GivenReplica = Given<'replica'>;

/**
 * The destination that a replica's keys and URL describe. A key wins over the same part of the URL, except for those that
 * may not be given twice.
 *
 * @returns undefined when it is incomplete or contradictory; the problems are reported.
 */
export function resolveDestination(
  given: GivenReplica,
  shared: SharedKeys,
  settling: Settling,
): Destination | undefined {
  const url = readUrl(given, settling);
  const type = url === undefined ? typeOf(given, settling) : url?.type;
  if (type === undefined || url === null) return undefined;
  warnOfOtherType(given, type, settling);
  refuseForeignKeys(given, type, settling);
  if (refuseDoubleKeys(given, type, settling)) return undefined;
  const settled = settle('replica', { ...url?.options, ...withoutUndefined(given) });
  return buildDestination({ given, url: url ?? { type, path: '' }, settled, shared, settling });
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

/** A key that a variable left empty counts as not given. */
function withoutUndefined(given: GivenReplica): GivenReplica {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
