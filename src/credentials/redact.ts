/** Takes secrets out of texts that others wrote: the error output of a program, the body of a failed answer. */
import { visibleText } from '../base/visible-text.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';

const HIDDEN = '[hidden]';
const TEXT_CHARACTERS_MAX = 300;

/** `SecretAccessKey": "..."`, `--token=...`, `pin-value=...`: whatever stands behind such a word. */
const NAMED =
  /((?:secret|token|passw|passphrase|pin-value|pin\b|credential|access[-_ ]?key|private[-_ ]?key|authorization|signature)[\w-]*["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s"',;&}]+)/gi;
const PEM = /-----BEGIN [^-]*-----[\s\S]*?(?:-----END [^-]*-----|$)/g;
/** Long runs of base64 or hexadecimal digits with figures among letters. */
const RANDOM = /(?=[A-Za-z0-9+/_=-]*\d)(?=[A-Za-z0-9+/_=-]*[A-Za-z])[A-Za-z0-9+_=-][A-Za-z0-9+/_=-]{19,}/g;

/** One line of at most 300 characters without what looks like a secret, nor any of `secrets`. */
export function redact(text: string, secrets: readonly (string | undefined)[] = []): string {
  let clean = hide(text, secrets).replace(PEM, HIDDEN).replace(NAMED, `$1${HIDDEN}`).replace(RANDOM, HIDDEN);
  clean = clean.replace(/\s+/g, ' ').trim();
  return visibleText(clean, TEXT_CHARACTERS_MAX);
}

/** The same text without any of `secrets`. */
export function hide(text: string, secrets: readonly (string | undefined)[]): string {
  return secrets
    .filter((secret): secret is string => secret !== undefined && secret !== '')
    .reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text);
}

export function secretsOf(keys: AwsKeys | undefined): string[] {
  if (keys === undefined) return [];
  return [keys.secretAccessKey, ...(keys.sessionToken === undefined ? [] : [keys.sessionToken])];
}
