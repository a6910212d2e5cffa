import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RivuletError, messageOf, systemCode } from '../../base/errors.ts';
import { type Trust, parsePinnedKey } from './host-key.ts';
import { type KnownHost, parseKnownHosts } from './known-hosts.ts';
import type { SftpStoreOptions } from './options.ts';

const SYSTEM_FILE = '/etc/ssh/ssh_known_hosts';

/** What is known of the server; files are read anew for each connection. @throws RivuletError `HOST_KEY_UNVERIFIED` */
export async function readTrust(options: SftpStoreOptions): Promise<Trust> {
  const { hostKeys = [], insecure = false, knownHostsPath } = options;
  if (insecure) return { kind: 'anybody' };
  if (hostKeys.length > 0) return { kind: 'pinned', keys: hostKeys.map(parsePinnedKey) };
  const paths =
    knownHostsPath === undefined ? [join(homedir(), '.ssh', 'known_hosts'), SYSTEM_FILE] : [knownHostsPath];
  const entries: KnownHost[] = [];
  for (const path of paths) {
    entries.push(...parseKnownHosts(await readKnown(path, knownHostsPath === undefined), path));
  }
  return { kind: 'known-hosts', entries, paths };
}

/** The default files need not exist; one that was asked for must. */
async function readKnown(path: string, mayBeAbsent: boolean): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (mayBeAbsent && ['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCode(error) ?? '')) return '';
    throw new RivuletError(
      'HOST_KEY_UNVERIFIED',
      `the file of known hosts cannot be read: ${messageOf(error)}`,
      { cause: error, details: { path }, hint: 'Correct known-hosts, or pin the key with host-key.' },
    );
  }
}
