/** What destinations of every type are made of. */
import { cleanBucketPath } from './clean-path.ts';
import { EMPTIED_BY_VARIABLE } from './expand-environment.ts';
import type { Given, KeySpec, Settled } from './key-spec.ts';
import { absolutePath } from './paths.ts';
import type { ReplicaUrl } from './replica-url.ts';
import { REPLICA_KEYS } from './schema.ts';
import type { NetworkSettings, StaticKeyName } from './settings.ts';
import type { Settling } from './settle.ts';

export type ReplicaProperty = keyof typeof REPLICA_KEYS;

/** What s3 replicas that say nothing about their keys have: from the top level, or from the environment. */
export type SharedKeys = Pick<Given<'root'>, StaticKeyName | 'credentials' | 'caFile'>;

export interface DestinationParts {
  /** As the file has it; says where problems are. */
  readonly given: Given<'replica'>;
  /** Without a `url` key: just the type. */
  readonly url: ReplicaUrl;
  /** What the file has, then what stands behind the `?` of the URL, then the defaults. */
  readonly settled: Settled<'replica'>;
  readonly shared: SharedKeys;
  readonly settling: Settling;
}

/** The value, or a report that a replica of this type needs it (unless its value was refused already). */
export function need(
  parts: DestinationParts,
  property: ReplicaProperty,
  value: string | undefined,
): string | undefined {
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

/** Reports a problem of a property where it was written: under its key or in the URL. */
export function problemOf(parts: DestinationParts, property: ReplicaProperty, message: string): void {
  const { given, settling } = parts;
  if (given[property] !== undefined || given.url === undefined) settling.problem(given, property, message);
  else settling.problem(given, 'url', `\`${REPLICA_KEYS[property].key}\` ${message}`);
}

/** The path inside a bucket; a problem is reported. */
export function bucketPathOf(parts: DestinationParts): string {
  const { given, url } = parts;
  const path = cleanBucketPath(url.type, given.path ?? url.path);
  if (path === undefined)
    problemOf(parts, 'path', 'leads out of the bucket: leave out the `..` at its beginning');
  return path ?? '';
}

/** A path of the file as an absolute one. */
export function pathOf(parts: DestinationParts, property: ReplicaProperty): string | undefined {
  const path = parts.settled[property] as string | undefined;
  return path === undefined ? undefined : absolutePath(path, parts.settling);
}

/** The file of a certificate authority of the replica's own, or else of the top level. */
export function authorityOf(parts: DestinationParts): string | undefined {
  const { shared, settling } = parts;
  const own = pathOf(parts, 'caFile');
  return own ?? (shared.caFile === undefined ? undefined : absolutePath(shared.caFile, settling));
}

/** How the way to a destination behind a network is used. */
export function networkSettings({ settled }: DestinationParts): NetworkSettings {
  const { requestTimeoutMs, maxConcurrentRequests, bandwidthLimitBytes, onAuthFailure } = settled;
  return { requestTimeoutMs, maxConcurrentRequests, bandwidthLimitBytes, onAuthFailure };
}

export interface Secret {
  readonly value: string | undefined;
  /** Absolute path of the file that it came from. */
  readonly file: string | undefined;
}

/**
 * A secret that is given as text, or as a file that is read now, or by an environment variable. Two forms together are
 * reported, and so is a file that cannot be read.
 *
 * @param fromUrl - what the URL's own place for this secret holds
 */
export function secretOf(
  parts: DestinationParts,
  property: ReplicaProperty,
  fileProperty: ReplicaProperty,
  fromUrl?: string,
): Secret {
  const text = (parts.settled[property] as string | undefined) ?? fromUrl;
  const file = pathOf(parts, fileProperty);
  if (file === undefined) return { value: text ?? fromEnvironment(parts, property), file };
  if (text !== undefined) {
    problemOf(parts, fileProperty, `cannot be given beside \`${REPLICA_KEYS[property].key}\``);
    return { value: undefined, file };
  }
  const content = parts.settling.readSecretFile(file);
  if ('value' in content) return { value: content.value, file };
  problemOf(parts, fileProperty, content.problem);
  return { value: undefined, file };
}

/** What the key's environment variable holds. */
export function fromEnvironment(parts: DestinationParts, property: ReplicaProperty): string | undefined {
  const { environment }: KeySpec = REPLICA_KEYS[property];
  return environment === undefined ? undefined : parts.settling.environment[environment] || undefined;
}

/** True for a URL whose part before the host holds a user or a password. */
export function holdsUser(url: string): boolean {
  return /^\w+:\/\/[^/?#]*@/.test(url);
}
