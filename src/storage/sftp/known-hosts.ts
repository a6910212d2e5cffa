/**
 * Files of known host keys as OpenSSH keeps them (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Bytes in, values out.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface KnownHost {
  readonly marker: 'revoked' | 'cert-authority' | undefined;
  /** As in the file: patterns between commas, or `|1|salt|hash`. */
  readonly hosts: string;
  readonly keyType: string;
  /** The key's bytes. */
  readonly key: Buffer;
  /** For messages: file and line. */
  readonly source: string;
}

const LINE =
  /^(?:@(?<marker>\S+)\s+)?(?<hosts>\S+)\s+(?<type>[a-z0-9@.-]+)\s+(?<key>[A-Za-z0-9+/]+={0,2})(?:\s|$)/;
const KEY_TYPE = /^[a-z0-9@.-]+$/i;
const HASHED = /^\|1\|([A-Za-z0-9+/]+=*)\|([A-Za-z0-9+/]+=*)$/;

/** Every entry of a file. What is no entry (an old format, a comment, damage) is passed over, as ssh does. */
export function parseKnownHosts(text: string, path: string): KnownHost[] {
  return text.split(/\r?\n/).flatMap((line, i) => parseLine(line.trim(), `${path}:${i + 1}`) ?? []);
}

function parseLine(line: string, source: string): KnownHost | undefined {
  if (line.startsWith('#')) return undefined;
  const { marker, hosts, type, key } = LINE.exec(line)?.groups ?? {};
  if (hosts === undefined || type === undefined || key === undefined) return undefined;
  if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return undefined;
  const bytes = Buffer.from(key, 'base64');
  if (keyTypeOf(bytes) !== type) return undefined;
  return { marker, hosts, keyType: type, key: bytes, source };
}

/** The entries that speak of this host; with a port of its own, those that name it without one when there are no others. */
export function entriesFor(known: readonly KnownHost[], host: string, port: number): KnownHost[] {
  const name = host.toLowerCase();
  const exact = known.filter((entry) => matches(entry.hosts, port === 22 ? name : `[${name}]:${port}`));
  if (port === 22 || exact.length > 0) return exact;
  return known.filter((entry) => matches(entry.hosts, name));
}

/** Whether a host field speaks of `name`: one of its patterns matches, and none of those that begin with `!`. */
export function matches(hosts: string, name: string): boolean {
  const hashed = HASHED.exec(hosts);
  if (hashed !== null) return matchesHash(hashed[1]!, hashed[2]!, name);
  let found = false;
  for (const pattern of hosts.toLowerCase().split(',')) {
    const isNegated = pattern.startsWith('!');
    if (!matchesPattern(isNegated ? pattern.slice(1) : pattern, name)) continue;
    if (isNegated) return false;
    found = true;
  }
  return found;
}

function matchesHash(salt: string, hash: string, name: string): boolean {
  const expected = Buffer.from(hash, 'base64');
  const actual = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** `*` stands for any text and `?` for one character. Goes back to the last `*` only: no pattern takes long. */
function matchesPattern(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let starredTo = 0;
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++;
      starredTo = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++starredTo;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** The type that a public key's bytes begin with; undefined when they are none. */
export function keyTypeOf(key: Buffer): string | undefined {
  if (key.length < 4) return undefined;
  const length = key.readUInt32BE(0);
  if (length === 0 || length > 64 || key.length <= 4 + length) return undefined;
  const type = key.toString('latin1', 4, 4 + length);
  // A server chooses these bytes.
  return KEY_TYPE.test(type) ? type : undefined;
}
