import { cleanPath } from './clean-path.ts';
import { need, networkSettings, pathOf, problemOf, secretOf } from './destination-parts.ts';
import type { DestinationParts } from './destination-parts.ts';
import type { SftpDestination } from './settings.ts';

export function buildSftp(parts: DestinationParts): SftpDestination | undefined {
  const { given, url, settled } = parts;
  const host = need(parts, 'host', given.host ?? url.host);
  const user = need(parts, 'user', given.user ?? (url.user || undefined));
  if (host === undefined || user === undefined) return undefined;
  if (host.includes('@')) problemOf(parts, 'host', 'must not hold a user; give `user` and `password`');
  else if (!HOST.test(host)) problemOf(parts, 'host', 'expected host or host:port');
  const password = secretOf(
    parts,
    'password',
    'passwordFile',
    given.passwordFile === undefined ? url.password : undefined,
  );
  const passphrase = secretOf(parts, 'keyPassphrase', 'keyPassphraseFile');
  return {
    type: 'sftp',
    host,
    user,
    password: password.value,
    passwordFile: password.file,
    path: onServer(given.path ?? url.path),
    keyPath: pathOf(parts, 'keyPath'),
    keyPassphrase: passphrase.value,
    keyPassphraseFile: passphrase.file,
    agent: settled.agent,
    ...hostKeySettings(parts),
    ...networkSettings(parts),
  };
}

/** Empty for the folder where a login ends up. */
function onServer(path: string): string {
  return path === '' ? '' : cleanPath(path);
}

type HostKeySettings = Pick<SftpDestination, 'hostKeys' | 'knownHosts' | 'insecureHostKey'>;

function hostKeySettings(parts: DestinationParts): HostKeySettings {
  const { hostKeys = [], knownHosts, insecureHostKey } = parts.settled;
  for (const key of hostKeys) checkHostKey(parts, key);
  if (insecureHostKey && (hostKeys.length > 0 || knownHosts !== undefined)) {
    problemOf(parts, 'insecureHostKey', 'contradicts `host-key` and `known-hosts`');
  } else if (insecureHostKey) {
    const property = parts.given.insecureHostKey === undefined ? 'url' : 'insecureHostKey';
    const message =
      'the server is not verified: whoever answers in its place gets the database and the password';
    parts.settling.warning(parts.given, property, message);
  }
  return { hostKeys, knownHosts: pathOf(parts, 'knownHosts'), insecureHostKey };
}

/** `host`, `host:port`, `[address]:port` or an IPv6 address alone. */
const HOST = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+)(?::\d{1,5})?$|^[0-9a-fA-F:.]+$/;

/** A line of a known-hosts file or of a `.pub` file, or a fingerprint. */
const HOST_KEY =
  /(?:^|\s)(?:SHA256:[A-Za-z0-9+/]{43}=?|(?:ssh|ecdsa)-[\w@.-]+\s+[A-Za-z0-9+/]{16,}={0,2})(?:\s|$)/;

function checkHostKey(parts: DestinationParts, key: string): void {
  if (HOST_KEY.test(key)) return;
  const expected = 'expected a line of ssh-keyscan, as in `ssh-ed25519 AAAA...`, or `SHA256:...`';
  problemOf(parts, 'hostKeys', `${expected}, not ${JSON.stringify(key.slice(0, 120))}`);
}
