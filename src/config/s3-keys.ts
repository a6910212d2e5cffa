/**
 * Where the keys of an s3 replica come from. What is nearer wins: the replica's own keys, profile or `credentials`, then
 * those of the top level, then Litestream's variables, then the usual AWS sources.
 */
import { credentialsSection } from './credentials-section.ts';
import type { DestinationParts, ReplicaProperty, SharedKeys } from './destination-parts.ts';
import { absolutePath } from './paths.ts';
import { REPLICA_KEYS, ROOT_KEYS } from './schema.ts';
import type { CredentialsSection, S3Keys } from './settings.ts';
import type { Settling } from './settle.ts';
import { hasAny, isWhole, KEY_PAIRS, reportDoubleForms } from './static-keys.ts';
import type { GivenKeys, KeyPair } from './static-keys.ts';

const NO_KEYS: S3Keys = {
  accessKeyId: undefined,
  accessKeyIdFile: undefined,
  secretAccessKey: undefined,
  secretAccessKeyFile: undefined,
  sessionToken: undefined,
  sessionTokenFile: undefined,
  profile: undefined,
  credentials: undefined,
};

/** @returns undefined when they contradict each other or something is missing, which is reported */
export function resolveS3Keys(parts: DestinationParts): S3Keys | undefined {
  const { given, shared, settled, settling } = parts;
  if (refuseTwoWays(parts)) return undefined;
  if (settled.profile !== undefined) return { ...NO_KEYS, profile: settled.profile };
  if (given.credentials !== undefined) {
    return withSection(credentialsSection(given.credentials, settling));
  }
  const keys = mergeKeys(given, shared);
  if (!KEY_PAIRS.some((pair) => hasAny(keys, pair)) && shared.credentials !== undefined) {
    return withSection(credentialsSection(shared.credentials, settling));
  }
  return isWhole(keys, (message) => settling.problem(given, undefined, message))
    ? { ...NO_KEYS, ...absoluteFiles(keys, settling) }
    : undefined;
}

/**
 * What the top level gives to all s3 replicas. Litestream's variables count only where the file has nothing of its own
 * and AWS's own variables are not set, as in v0.3.13.
 */
export function resolveSharedKeys(given: SharedKeys, settling: Settling): SharedKeys {
  reportDoubleForms(given, given, settling);
  const hasKeys = KEY_PAIRS.some((pair) => hasAny(given, pair));
  if (hasKeys && given.credentials !== undefined) {
    settling.problem(given, 'credentials', 'cannot be given beside keys of the same level: choose one');
  }
  const { environment } = settling;
  const isAwsSet = environment['AWS_ACCESS_KEY_ID'] || environment['AWS_SECRET_ACCESS_KEY'];
  if (hasKeys || given.credentials !== undefined || isAwsSet) return given;
  return {
    accessKeyId: environment[ROOT_KEYS.accessKeyId.environment] || undefined,
    secretAccessKey: environment[ROOT_KEYS.secretAccessKey.environment] || undefined,
  };
}

function withSection(credentials: CredentialsSection | undefined): S3Keys | undefined {
  return credentials === undefined ? undefined : { ...NO_KEYS, credentials };
}

/** A replica may have keys, or a profile, or a section, not two of them. */
function refuseTwoWays(parts: DestinationParts): boolean {
  const { given, settled, settling } = parts;
  const hasKeys = KEY_PAIRS.some((pair) => hasAny(given, pair));
  const ways: [ReplicaProperty, boolean][] = [
    ['accessKeyId', hasKeys],
    ['profile', settled.profile !== undefined],
    ['credentials', given.credentials !== undefined],
  ];
  const present = ways.filter(([, isThere]) => isThere).map(([property]) => property);
  const isDouble = reportDoubleForms(given, given, settling);
  if (present.length < 2) return isDouble;
  const [first = 'accessKeyId', second = 'credentials'] = present;
  settling.problem(given, second, `cannot be given beside \`${REPLICA_KEYS[first].key}\`: choose one`);
  return true;
}

/** Key and secret each from where they are nearest, as v0.3.13 does; a token only with the access key that it belongs to. */
function mergeKeys(own: GivenKeys, shared: GivenKeys): GivenKeys {
  const [id, secret, token] = KEY_PAIRS;
  const ownsKey = hasAny(own, id) || hasAny(own, secret);
  return {
    ...pick(hasAny(own, id) ? own : shared, id),
    ...pick(hasAny(own, secret) ? own : shared, secret),
    ...pick(hasAny(own, token) || ownsKey ? own : shared, token),
  };
}

function pick(keys: GivenKeys, [text, file]: KeyPair): GivenKeys {
  return { [text]: keys[text], [file]: keys[file] };
}

function absoluteFiles(keys: GivenKeys, settling: Settling): GivenKeys {
  const files = KEY_PAIRS.map(([, file]) => [file, keys[file]] as const)
    .filter((entry): entry is readonly [KeyPair[1], string] => entry[1] !== undefined)
    .map(([file, path]) => [file, absolutePath(path, settling)]);
  return { ...keys, ...Object.fromEntries(files) };
}
