import { messageOf } from '../../base/errors.ts';

/** A secret as it is, or a way to read it that is asked again for each connection: so a rotated one is used. */
export type Secret = string | (() => Promise<string>);

export interface SftpTimeouts {
  /** From the first packet to a session that answers. */
  readonly connectMs: number;
  /** The longest silence of the server while requests wait for it; a large file being made safe may take longer. */
  readonly requestMs: number;
  /** A cable that was cut is noticed after at most four of these. */
  readonly keepAliveMs: number;
  /** A connection that nobody has used for so long is closed. */
  readonly idleMs: number;
}

export const DEFAULT_TIMEOUTS: SftpTimeouts = {
  connectMs: 30_000,
  requestMs: 60_000,
  keepAliveMs: 10_000,
  idleMs: 120_000,
};

export interface SftpStoreOptions {
  /** Name or address, without a port. */
  readonly host: string;
  /** 22 when absent. */
  readonly port?: number | undefined;
  readonly user: string;
  /** Folder on the server; one that does not begin with `/` is relative to where the login ends up. */
  readonly path: string;
  readonly password?: Secret | undefined;
  /** The private key itself, as text. */
  readonly privateKey?: Secret | undefined;
  /** A file that holds the private key; read again for each connection. */
  readonly keyPath?: string | undefined;
  readonly passphrase?: Secret | undefined;
  /**
   * Socket of an ssh-agent. When absent, that of `SSH_AUTH_SOCK` is used if there is neither a key nor a password.
   */
  readonly agentSocket?: string | undefined;
  /**
   * The only host keys to accept: `ssh-ed25519 AAAA...`, also as `ssh-keyscan` prints it with the host before, or
   * `SHA256:...`. When there are any, known-hosts files are not read.
   */
  readonly hostKeys?: readonly string[] | undefined;
  /** Instead of `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`. */
  readonly knownHostsPath?: string | undefined;
  /** Accepts any host key: whoever sits between can read and change everything. */
  readonly insecure?: boolean | undefined;
  readonly timeouts?: Partial<SftpTimeouts> | undefined;
}

/** `host`, `host:port`, `[address]:port` or a bare IPv6 address, taken apart. @throws RangeError when it is none */
export function parseHostAndPort(text: string): { host: string; port: number | undefined } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) {
    if (/^[0-9a-f:.]+$/i.test(text) && text.includes(':')) return { host: text, port: undefined };
    throw new RangeError(`not a host or host:port: ${JSON.stringify(text)}`);
  }
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65_535)) throw new RangeError(`not a port: ${port}`);
  return { host: (match[1] ?? match[2])!, port };
}

/** Where this is, for people. */
export function locationOf({ user, host, port, path }: SftpStoreOptions): string {
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const where = `sftp://${encodeURIComponent(user)}@${bracketed}${port === undefined || port === 22 ? '' : `:${port}`}`;
  return `${where}${path.startsWith('/') ? '' : '/~/'}${path}`;
}

/** What a secret is now. @throws Error with a message that says which could not be read, never what it holds */
export async function readSecret(secret: Secret | undefined, name: string): Promise<string | undefined> {
  if (typeof secret !== 'function') return secret;
  try {
    return await secret();
  } catch (error) {
    throw new Error(`the ${name} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
