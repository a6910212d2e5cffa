/** Texts with age keys, as files of `age` and `age-keygen` have them -> keys. Pure. */
import { ageInvalid } from './age-error.ts';

/** Where a text came from, for messages, and the text itself. */
export interface KeyText {
  /** As in `age.identities[0]` or `/etc/rivulet/key.txt`. */
  readonly source: string;
  readonly text: string;
}

export interface KeyLine {
  readonly key: string;
  /** Source and line for messages. */
  readonly place: string;
}

type Kind = 'recipient' | 'identity';

/** Keys that age knows and this program does not, by how they begin; the longer beginnings first. */
const NOT_SUPPORTED: Readonly<Record<Kind, readonly (readonly [RegExp, string])[]>> = {
  recipient: [
    [/^ssh-/i, 'SSH keys are not supported as recipients'],
    [/^age1pq1/i, 'post-quantum recipients (age1pq1...) are not supported'],
    [/^age1[a-z0-9._+-]+1/i, 'recipients of age plugins (age1NAME1...) are not supported'],
    [/^github:/i, 'recipients of GitHub users are not supported'],
  ],
  identity: [
    [/^-----BEGIN (OPENSSH|RSA|DSA|EC|ENCRYPTED)? ?PRIVATE KEY/, 'SSH keys are not supported as identities'],
    [/^AGE-SECRET-KEY-PQ-1/i, 'post-quantum identities (AGE-SECRET-KEY-PQ-1...) are not supported'],
    [/^AGE-PLUGIN-/i, 'identities of age plugins (AGE-PLUGIN-...) are not supported'],
  ],
};

const HINT = 'Make a pair of keys with: age-keygen';
const EXPECTED: Readonly<Record<Kind, string>> = {
  recipient: 'expected a recipient, which begins with age1',
  identity: 'expected an identity, which begins with AGE-SECRET-KEY-1',
};
const BEGINS: Readonly<Record<Kind, RegExp>> = { recipient: /^age1/, identity: /^AGE-SECRET-KEY-1/ };
const OTHER: Readonly<Record<Kind, readonly [RegExp, string]>> = {
  recipient: [/^AGE-SECRET-KEY-/i, 'this is an identity, which is secret; a recipient is its public key'],
  identity: [/^age1/i, 'this is a recipient, which is public; an identity is its secret key'],
};

/**
 * The lines of a text that are keys: empty lines and comments (`#`) are passed over. A key's own checksum is looked at
 * by whoever uses it.
 *
 * @throws RivuletError `AGE_INVALID` with the source and the line, never the line's content
 */
export function readKeyLines(kind: Kind, { source, text }: KeyText): readonly KeyLine[] {
  const lines = text
    .split('\n')
    .map((line, index) => ({ key: line.trim(), place: `${source}, line ${index + 1}` }));
  const keys = lines.filter(({ key }) => key !== '' && !key.startsWith('#'));
  for (const { key, place } of keys) checkBeginning(kind, key, place);
  return keys;
}

function checkBeginning(kind: Kind, key: string, place: string): void {
  const [other, isOther] = OTHER[kind];
  const unsupported = NOT_SUPPORTED[kind].find(([begins]) => begins.test(key));
  if (unsupported !== undefined) throw ageInvalid(`${place}: ${unsupported[1]}`, { hint: HINT });
  if (other.test(key)) throw ageInvalid(`${place}: ${isOther}`, { hint: HINT });
  if (!BEGINS[kind].test(key)) throw ageInvalid(`${place}: ${EXPECTED[kind]}`, { hint: HINT });
}
