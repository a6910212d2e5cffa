/** Signatures by SHA-1 (`ssh-rsa`), which can be forged. OpenSSH gives and takes none since 8.8. */
import type { ParsedKey } from 'ssh2';

export const SHA1_ONLY =
  'the server takes signatures of RSA keys by SHA-1 (ssh-rsa) only, which are refused; use an Ed25519 key, or update the server';

/** @param hash - as `ssh2` names it; undefined for keys that have only one */
export function signsBySha1(hash: string | undefined): boolean {
  return hash === 'sha1';
}

/** The same key, which refuses to sign by SHA-1. `ssh2` asks for that when the server names nothing better. */
export function withoutSha1(key: ParsedKey): ParsedKey {
  const sign = key.sign.bind(key);
  key.sign = (data, hash) => (signsBySha1(hash) ? (new Error(SHA1_ONLY) as never) : sign(data, hash));
  return key;
}
