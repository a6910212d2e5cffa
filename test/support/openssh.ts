/**
 * A real OpenSSH server for tests, set up as people set it up for backups: a user of its own, locked into a chroot with
 * `ForceCommand internal-sftp`, who can write to the folder `db` only. It listens on loopback, on a free port.
 *
 * sshd wants the chroot and its parents to belong to root and not to be writable by others, and takes its users from
 * /etc/passwd. So it runs in a mount namespace of its own, which has its own user, password, folders and even disks;
 * the system is not changed, and all of it vanishes with the server. Needs Linux and root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Scratch } from './scratch.ts';
import { freePort } from './free-port.ts';

const SSHD = '/usr/sbin/sshd';
const INSTALL = 'apt-get install openssh-server openssl';
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;

/** A user id that no system has given away: the range that is reserved for containers. */
const USER_ID = 200_777;

/** Everything that the namespace needs before sshd runs. `$1` is the server's folder, `$2` the size of its disk. */
const SETUP = `
set -e
mount -t tmpfs -o mode=755 none /run
mkdir -m 755 /run/sshd /run/etc /run/chroot
mount --bind "$1/etc" /run/etc
mount --bind "$1/chroot" /run/chroot
if [ "$2" -gt 0 ]; then mount -t tmpfs -o "size=$2,mode=755,uid=${USER_ID},gid=${USER_ID}" none /run/chroot/db; fi
mount --bind "$1/etc/passwd" /etc/passwd
mount --bind "$1/etc/shadow" /etc/shadow
exec setpriv --pdeathsig KILL ${SSHD} -D -e -f /run/etc/sshd_config
`;

export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

export interface OpenSshOptions {
  /** Which host keys the server has; ed25519 alone unless said otherwise. */
  readonly hostKeys?: readonly HostKeyType[];
  /** Puts the folder `db` on a disk of its own, this small. */
  readonly diskBytes?: number;
  /** More lines for sshd_config. */
  readonly config?: readonly string[];
}

/** Why there is no OpenSSH server here, and how to get one; false when there is. */
export function whyNoOpenSsh(): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  if (!existsSync(SSHD)) return `needs the OpenSSH server: ${INSTALL}`;
  if (process.getuid?.() !== 0) return 'needs root, to lock the user of the OpenSSH server into a chroot';
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/run'], { stdio: 'pipe' });
    return false;
  } catch (error) {
    return `cannot make a mount namespace: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}

/** Started by `OpenSshServer.start`; ends with its scope, and with this process however that ends. */
export class OpenSshServer implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly user = 'replicator';
  readonly password = 'correct horse $battery';
  /** Below the chroot as the user sees it. */
  readonly path = '/db';
  /** A private key file without passphrase that lets the user in. */
  readonly keyPath: string;
  /** What sshd has said, for messages of failed tests. */
  log = '';
  readonly #scratch: Scratch;
  readonly #diskBytes: number;
  #sshd: ChildProcess | undefined;

  private constructor(scratch: Scratch, port: number, diskBytes: number) {
    this.#scratch = scratch;
    this.port = port;
    this.#diskBytes = diskBytes;
    this.keyPath = scratch.file('keys/user');
  }

  static async start(options: OpenSshOptions = {}): Promise<OpenSshServer> {
    const scratch = new Scratch();
    try {
      const server = new OpenSshServer(scratch, await freePort(), options.diskBytes ?? 0);
      server.#prepare(options);
      await server.start();
      return server;
    } catch (error) {
      scratch[Symbol.dispose]();
      throw error;
    }
  }

  /** The folder `db` as this process sees it; on a disk of its own only while the server runs. */
  get directory(): string {
    if (this.#diskBytes > 0) return `/proc/${this.#sshd?.pid}/root/run/chroot/db`;
    return this.#scratch.file('chroot/db');
  }

  /** The chroot as this process sees it. */
  get chroot(): string {
    return this.#scratch.file('chroot');
  }

  /** Public host key as `ssh-keyscan` shows it, without the host: type and base64. */
  hostKey(type: HostKeyType = 'ed25519'): string {
    const text = readFileSync(this.#scratch.file(`etc/host_${type}.pub`), 'utf8');
    return text.split(' ').slice(0, 2).join(' ').trim();
  }

  /** `SHA256:...` of a host key, as ssh-keygen says it. */
  fingerprint(type: HostKeyType = 'ed25519'): string {
    const file = this.#scratch.file(`etc/host_${type}.pub`);
    return execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' }).split(' ')[1]!;
  }

  /** A line for a known_hosts file. */
  knownHostsLine(type: HostKeyType = 'ed25519'): string {
    return `[${this.host}]:${this.port} ${this.hostKey(type)}\n`;
  }

  /** Gives the server another host key; takes effect at its next start. */
  changeHostKey(type: HostKeyType = 'ed25519'): void {
    for (const end of ['', '.pub']) rmSync(this.#scratch.file(`etc/host_${type}${end}`));
    makeKey(this.#scratch.file(`etc/host_${type}`), ['-t', type]);
  }

  /**
   * Makes another key for the user and returns its file. @param args for ssh-keygen, as in `-t rsa -m PEM`
   * @param allowed - whether it lets the user in
   */
  addKey(name: string, args: readonly string[], passphrase = '', allowed = true): string {
    const path = this.#scratch.file(`keys/${name}`);
    makeKey(path, args, passphrase);
    if (allowed) this.#allow(path);
    return path;
  }

  /** Lets nobody in but the key of this file. */
  allowOnly(keyPath: string): void {
    writeFileSync(this.#scratch.file('etc/authorized_keys'), readFileSync(`${keyPath}.pub`));
  }

  /** A file in a folder of the test's own. */
  file(name: string): string {
    return this.#scratch.file(name);
  }

  /** Begins to listen, again after `stop` on the same port. */
  async start(): Promise<void> {
    const args = ['--mount', 'sh', '-c', SETUP, 'sh', this.#scratch.path, String(this.#diskBytes)];
    const sshd = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#sshd = sshd;
    sshd.stderr.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await this.#answers())) {
      if (sshd.exitCode !== null) throw new Error(`sshd ended at once: ${this.log}`);
      if (performance.now() > deadline) {
        await this.stop();
        throw new Error(`sshd does not answer: ${this.log}`);
      }
      await sleep(20);
    }
  }

  /** Ends the server and its connections, as a machine that is switched off. */
  async stop(): Promise<void> {
    const sshd = this.#sshd;
    if (sshd === undefined) return;
    this.#sshd = undefined;
    const ended = sshd.exitCode !== null || sshd.signalCode !== null;
    const exit = ended
      ? Promise.resolve()
      : new Promise<void>((resolve) => sshd.once('exit', () => resolve()));
    signalAll(sessionsOf(sshd.pid!), 'SIGKILL');
    sshd.kill('SIGKILL');
    await Promise.race([exit, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    sshd.stderr?.destroy();
  }

  /** How many connections are open or being made. */
  get connections(): number {
    return this.#sshd === undefined ? 0 : childrenOf(this.#sshd.pid!).length;
  }

  /** Cuts every live connection; the server goes on. @returns how many processes there were */
  killConnections(): number {
    return signalAll(this.#sessions(), 'SIGKILL');
  }

  /** Freezes every live connection: TCP stays, nothing is answered. */
  freezeConnections(): number {
    return signalAll(this.#sessions(), 'SIGSTOP');
  }

  thawConnections(): void {
    signalAll(this.#sessions(), 'SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thawConnections();
    await this.stop();
    this.#scratch[Symbol.dispose]();
  }

  #sessions(): number[] {
    return this.#sshd === undefined ? [] : sessionsOf(this.#sshd.pid!);
  }

  #prepare(options: OpenSshOptions): void {
    for (const folder of ['etc', 'chroot', 'keys']) {
      mkdirSync(this.#scratch.file(folder));
      chmodSync(this.#scratch.file(folder), 0o755);
    }
    mkdirSync(this.#scratch.file('chroot/db'));
    chownSync(this.#scratch.file('chroot/db'), USER_ID, USER_ID);
    const types = options.hostKeys ?? ['ed25519'];
    for (const type of types) makeKey(this.#scratch.file(`etc/host_${type}`), ['-t', type]);
    makeKey(this.keyPath, ['-t', 'ed25519']);
    writeFileSync(this.#scratch.file('etc/authorized_keys'), '', { mode: 0o644 });
    this.#allow(this.keyPath);
    this.#writeUsers();
    const config = [
      `Port ${this.port}`,
      `ListenAddress ${this.host}`,
      ...types.map((type) => `HostKey /run/etc/host_${type}`),
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication yes',
      'KbdInteractiveAuthentication no',
      'UseDNS no',
      'MaxStartups 100',
      'Subsystem sftp internal-sftp',
      ...(options.config ?? []),
      `Match User ${this.user}`,
      '  ChrootDirectory /run/chroot',
      '  ForceCommand internal-sftp',
      '  AllowTcpForwarding no',
      '  X11Forwarding no',
      '  AuthorizedKeysFile /run/etc/authorized_keys',
    ];
    writeFileSync(this.#scratch.file('etc/sshd_config'), `${config.join('\n')}\n`);
  }

  #writeUsers(): void {
    const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], {
      input: this.password,
      encoding: 'utf8',
    });
    const passwd = `${readFileSync('/etc/passwd', 'utf8')}${this.user}:x:${USER_ID}:${USER_ID}::/:/usr/sbin/nologin\n`;
    // sshd drops its own rights to this user where there is one to drop them to.
    const sshd = /^sshd:/m.test(passwd) ? '' : 'sshd:x:200778:65534::/run/sshd:/usr/sbin/nologin\n';
    writeFileSync(this.#scratch.file('etc/passwd'), passwd + sshd, { mode: 0o644 });
    writeFileSync(this.#scratch.file('etc/shadow'), `${this.user}:${hash.trim()}:19000:0:99999:7:::\n`, {
      mode: 0o600,
    });
  }

  #allow(keyPath: string): void {
    const line = readFileSync(`${keyPath}.pub`);
    writeFileSync(this.#scratch.file('etc/authorized_keys'), line, { flag: 'a' });
  }

  async #answers(): Promise<boolean> {
    const socket: Socket = connect(this.port, this.host);
    try {
      return await new Promise((resolve) => {
        socket.once('data', () => resolve(true));
        socket.once('error', () => resolve(false));
        socket.once('close', () => resolve(false));
      });
    } finally {
      socket.destroy();
    }
  }
}

function makeKey(path: string, args: readonly string[], passphrase = ''): void {
  execFileSync('ssh-keygen', ['-q', ...args, '-N', passphrase, '-C', 'test', '-f', path], { stdio: 'pipe' });
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Every process below the server's. */
function sessionsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...sessionsOf(child)]);
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): number {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
  return pids.length;
}
