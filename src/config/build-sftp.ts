import { need, networkSettings, pathOf, problemOf, secretOf } from './destination-parts.ts';
import type { DestinationParts } from './destination-parts.ts';
import type { SftpDestination } from './settings.ts';

export function buildSftp(parts: DestinationParts): SftpDestination | undefined {
  const { given, url, settled } = parts;
  const host = need(parts, 'host', given.host ?? url.host);
  const user = need(parts, 'user', given.user ?? (url.user || undefined));
  if (host === undefined || user === undefined) return undefined;
  if (host.includes('@')) problemOf(parts, 'host', 'must not hold a user; give `user` and `password`');
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
    path: given.path ?? url.path,
    keyPath: pathOf(parts, 'keyPath'),
    keyPassphrase: passphrase.value,
    keyPassphraseFile: passphrase.file,
    agent: settled.agent,
    ...hostKeySettings(parts),
    ...networkSettings(parts),
  };
}

type HostKeySettings = Pick<SftpDestination, 'hostKeys' | 'knownHosts' | 'insecureHostKey'>;

function hostKeySettings(parts: DestinationParts): HostKeySettings {
  const { hostKeys = [], knownHosts, insecureHostKey } = parts.settled;
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
