/** Is this the server that it claims to be? Decided from its key and from what is known of it; no I/O. */
import { createHash } from 'node:crypto';
import { RivuletError } from '../../base/errors.ts';
import { type KnownHost, entriesFor, keyTypeOf } from './known-hosts.ts';

/** A host key that was pinned by configuration. */
export type PinnedKey =
  | { readonly kind: 'key'; readonly keyType: string; readonly key: Buffer }
  | { readonly kind: 'fingerprint'; readonly fingerprint: string };

/** What is known of the host before it is asked. */
export type Trust =
  | { readonly kind: 'anybody' }
  | { readonly kind: 'pinned'; readonly keys: readonly PinnedKey[] }
  | {
      readonly kind: 'known-hosts';
      readonly entries: readonly KnownHost[];
      readonly paths: readonly string[];
    };

export interface HostName {
  readonly host: string;
  readonly port: number;
}

/**
 * In the order of preference. An `ssh-rsa` key signs with the last two; with the algorithm that has the name of the key's
 * type it would sign by SHA-1, which can be forged and which OpenSSH refuses since 8.8.
 */
const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};
const KEY_TYPES = Object.keys(ALGORITHMS);

/**
 * A `host-key` of the configuration: `TYPE BASE64 [comment]`, the same with a host before it, or `SHA256:...`.
 *
 * @throws RangeError that says what is wrong
 */
export function parsePinnedKey(text: string): PinnedKey {
  const words = text.trim().split(/\s+/);
  const fingerprint = words.find((word) => word.startsWith('SHA256:'));
  if (fingerprint !== undefined) {
    if (!/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(fingerprint)) throw notAHostKey(text);
    return { kind: 'fingerprint', fingerprint: fingerprint.replace('=', '') };
  }
  const at = words.findIndex((word, i) => i < 2 && KEY_TYPES.includes(word));
  const encoded = words[at + 1];
  const keyType = words[at];
  if (keyType === undefined || encoded === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded))
    throw notAHostKey(text);
  const key = Buffer.from(encoded, 'base64');
  if (keyTypeOf(key) !== keyType) throw notAHostKey(text);
  return { kind: 'key', keyType, key };
}

function notAHostKey(text: string): RangeError {
  return new RangeError(
    `not a host key: ${JSON.stringify(text.slice(0, 120))}; expected one line of ssh-keyscan, as in "ssh-ed25519 AAAA...", or "SHA256:..."`,
  );
}

/** `SHA256:...` of a public key, as ssh-keygen and ssh show it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/**
 * Algorithms to offer, those of known keys first, so that the server shows the key that is known. The others
 * follow: when it no longer has that key, it is better to see what it has.
 */
export function algorithmsFor(trust: Trust, name: HostName, only?: string): string[] {
  const known = knownTypes(trust, name);
  const types = only === undefined ? [...known, ...KEY_TYPES] : [only];
  return [...new Set(types.flatMap((type) => ALGORITHMS[type] ?? []))];
}

/** Types of key to ask for one after another, because a fingerprint does not say of what type its key is. */
export function typesToTry(trust: Trust): (string | undefined)[] {
  const isOpen = trust.kind === 'pinned' && trust.keys.some((pin) => pin.kind === 'fingerprint');
  return isOpen ? [undefined, ...KEY_TYPES] : [undefined];
}

function knownTypes(trust: Trust, { host, port }: HostName): string[] {
  if (trust.kind === 'pinned') return trust.keys.flatMap((pin) => (pin.kind === 'key' ? [pin.keyType] : []));
  if (trust.kind === 'anybody') return [];
  return entriesFor(trust.entries, host, port)
    .filter((entry) => entry.marker === undefined)
    .map((entry) => entry.keyType);
}

/** Undefined when the key is trusted, otherwise the error that says why not and what to do. */
export function judgeHostKey(trust: Trust, name: HostName, offered: Buffer): RivuletError | undefined {
  if (trust.kind === 'anybody') return undefined;
  if (trust.kind === 'pinned') {
    return trust.keys.some((pin) => isPinned(pin, offered))
      ? undefined
      : notPinned(trust.keys, name, offered);
  }
  return judgeByEntries(entriesFor(trust.entries, name.host, name.port), trust.paths, name, offered);
}

function isPinned(pin: PinnedKey, offered: Buffer): boolean {
  return pin.kind === 'key' ? pin.key.equals(offered) : pin.fingerprint === fingerprintOf(offered);
}

function judgeByEntries(
  entries: readonly KnownHost[],
  paths: readonly string[],
  name: HostName,
  offered: Buffer,
): RivuletError | undefined {
  const same = entries.filter((entry) => entry.key.equals(offered));
  const revoked = same.find((entry) => entry.marker === 'revoked');
  if (revoked !== undefined) return isRevoked(revoked, name, offered);
  const plain = entries.filter((entry) => entry.marker === undefined);
  if (plain.some((entry) => entry.key.equals(offered))) return undefined;
  const sameType = plain.filter((entry) => entry.keyType === keyTypeOf(offered));
  if (plain.length > 0) return hasChanged(sameType.length > 0 ? sameType : plain, name, offered);
  return isUnknown(entries, paths, name, offered);
}

function isUnknown(
  entries: readonly KnownHost[],
  paths: readonly string[],
  name: HostName,
  offered: Buffer,
): RivuletError {
  const certificate = entries.some((entry) => entry.marker === 'cert-authority')
    ? ' (its @cert-authority line does not help: host certificates are not supported)'
    : '';
  return unverified(
    `the host key of ${nameOf(name)} is not known: the server shows ${shown(offered)}, which is in none of ${paths.join(', ')}${certificate}`,
    name,
    offered,
    `Compare the fingerprint with the one on the server (ssh-keygen -lf /etc/ssh/${fileOf(offered)} there). If it is the same, pin the key in the configuration: host-key: "${lineOf(offered)}"`,
  );
}

function hasChanged(expected: readonly KnownHost[], name: HostName, offered: Buffer): RivuletError {
  const before = expected.map((entry) => `${shown(entry.key)} (${entry.source})`).join(' or ');
  return unverified(
    `THE HOST KEY OF ${nameOf(name)} HAS CHANGED: expected ${before}, but the server shows ${shown(offered)}. Somebody may be in between; nothing was sent`,
    name,
    offered,
    `Only if the server was set up anew and the fingerprint is the one on the server (ssh-keygen -lf /etc/ssh/${fileOf(offered)} there): remove the old line (ssh-keygen -R '${nameInFile(name)}'), or pin the key in the configuration: host-key: "${lineOf(offered)}"`,
  );
}

function notPinned(pins: readonly PinnedKey[], name: HostName, offered: Buffer): RivuletError {
  const expected = pins.map((pin) => (pin.kind === 'key' ? shown(pin.key) : pin.fingerprint)).join(' or ');
  return unverified(
    `THE HOST KEY OF ${nameOf(name)} IS NOT THE PINNED ONE: expected ${expected}, but the server shows ${shown(offered)}. Somebody may be in between; nothing was sent`,
    name,
    offered,
    `Only if the server was set up anew and the fingerprint is the one on the server (ssh-keygen -lf /etc/ssh/${fileOf(offered)} there), pin it instead: host-key: "${lineOf(offered)}"`,
  );
}

function isRevoked(entry: KnownHost, name: HostName, offered: Buffer): RivuletError {
  return unverified(
    `THE HOST KEY OF ${nameOf(name)} IS REVOKED by ${entry.source}: the server shows ${shown(offered)}. Nothing was sent`,
    name,
    offered,
    'Somebody marked this key as stolen or lost: give the server a new one before anything is sent there.',
  );
}

function unverified(message: string, name: HostName, offered: Buffer, hint: string): RivuletError {
  return new RivuletError('HOST_KEY_UNVERIFIED', message, {
    hint,
    details: {
      host: name.host,
      port: name.port,
      keyType: keyTypeOf(offered),
      fingerprint: fingerprintOf(offered),
      hostKey: lineOf(offered),
    },
  });
}

function shown(key: Buffer): string {
  return `${keyTypeOf(key) ?? 'unknown'} ${fingerprintOf(key)}`;
}

/** What to paste as `host-key`. */
function lineOf(key: Buffer): string {
  return `${keyTypeOf(key) ?? 'unknown'} ${key.toString('base64')}`;
}

function nameOf({ host, port }: HostName): string {
  return port === 22 ? host : `${host}:${port}`;
}

function nameInFile({ host, port }: HostName): string {
  return port === 22 ? host : `[${host}]:${port}`;
}

/** Where OpenSSH keeps this key on the server. */
function fileOf(key: Buffer): string {
  const type = keyTypeOf(key) ?? '';
  const kind = type.startsWith('ecdsa') ? 'ecdsa' : type === 'ssh-rsa' ? 'rsa' : 'ed25519';
  return `ssh_host_${kind}_key.pub`;
}
