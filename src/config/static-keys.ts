/** Access key, secret and token as somebody writes them, each as text or as the name of a file that holds it. */
import { REPLICA_KEYS } from './schema.ts';
import type { S3Keys, StaticKeyName } from './settings.ts';
import type { Settling } from './settle.ts';

/** A secret as text or as a file; key, secret and token each have such a pair of properties. */
export const KEY_PAIRS = [
  ['accessKeyId', 'accessKeyIdFile'],
  ['secretAccessKey', 'secretAccessKeyFile'],
  ['sessionToken', 'sessionTokenFile'],
] as const;

export type KeyPair = (typeof KEY_PAIRS)[number];
export type StaticKeys = Pick<S3Keys, StaticKeyName>;
export type GivenKeys = { readonly [Property in keyof StaticKeys]?: string | undefined };

export function hasAny(keys: GivenKeys, pair: KeyPair): boolean {
  return pair.some((property) => keys[property] !== undefined);
}

/** Reports `X` and `X-file` together. */
export function reportDoubleForms(keys: GivenKeys, section: object, settling: Settling): boolean {
  const double = KEY_PAIRS.filter(([text, file]) => keys[text] !== undefined && keys[file] !== undefined);
  for (const [text, file] of double) {
    settling.problem(section, file, `cannot be given beside \`${REPLICA_KEYS[text].key}\``);
  }
  return double.length > 0;
}

/** Both of key and secret or neither, and no token without them. */
export function isWhole(keys: GivenKeys, report: (message: string) => void): boolean {
  const [id, secret, token] = KEY_PAIRS;
  const present = [id, secret].filter((pair) => hasAny(keys, pair));
  if (present.length === 1) {
    const missing = present[0] === id ? secret : id;
    report(`has \`${writtenKey(keys, present[0] ?? id)}\` without \`${REPLICA_KEYS[missing[0]].key}\``);
    return false;
  }
  if (present.length === 2 || !hasAny(keys, token)) return true;
  report(`has \`${writtenKey(keys, token)}\` without \`${REPLICA_KEYS.accessKeyId.key}\``);
  return false;
}

function writtenKey(keys: GivenKeys, pair: KeyPair): string {
  const property = pair.find((one) => keys[one] !== undefined) ?? pair[0];
  return REPLICA_KEYS[property].key;
}
