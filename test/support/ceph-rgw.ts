/**
 * A production S3 server for tests: Ceph's RADOS gateway over one object daemon that keeps everything in memory, with
 * an STS that gives keys which really expire. It listens on loopback, lives in its own temporary directory, is ready in
 * about 10 s, takes some 200 MB, and is gone when it is disposed of or when this process ends, however that happens.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { accessSync, closeSync, constants, mkdirSync, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

const COMMANDS = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph', 'ceph-authtool', 'monmaptool'];
const INSTALL = 'apt-get install -y --no-install-recommends ceph-mon ceph-osd radosgw ceph-common';

/** One administrative command; the slowest takes about 2 s on an idle machine. */
const COMMAND_TIMEOUT_MS = 90_000;
const READY_TIMEOUT_MS = 60_000;

export const CEPH_REGION = 'us-east-1';
export const CEPH_ROLE_ARN = 'arn:aws:iam:::role/S3Access';
/** Keys that do not expire, of a user that may do everything. */
export const CEPH_KEYS: AwsKeys = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

/** Undefined when the gateway can be started here; otherwise why not, and how to install it. */
export function whyNoCeph(): string | undefined {
  const missing = COMMANDS.filter((command) => !isInstalled(command));
  if (missing.length === 0) return undefined;
  return `Ceph is not installed (no ${missing.join(', ')}); to install it: ${INSTALL}`;
}

/** Whether the gateway can be started here, in the form that `it` and `describe` take for `skip`. */
export function cephAvailable(): { readonly skip: string | false } {
  return { skip: whyNoCeph() ?? false };
}

function isInstalled(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Starts a gateway with an empty store. @throws when Ceph is not installed or does not come up */
export async function startCephRgw(): Promise<CephRgw> {
  const why = whyNoCeph();
  if (why !== undefined) throw new Error(why);
  const directory = mkdtempSync(join(tmpdir(), 'rivulet-ceph-'));
  const reaper = new Reaper(directory);
  try {
    const [gatewayPort, monitorPort] = [await freePort(), await freePort()];
    const cluster = new Cluster(directory, monitorPort, reaper);
    await cluster.start();
    const gateway = new CephRgw(cluster, gatewayPort, reaper);
    await gateway.start();
    await cluster.makeUserAndRole();
    return gateway;
  } catch (error) {
    await reaper.finish();
    throw error;
  }
}

export class CephRgw implements AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:PORT`; the same server answers at `http://localhost:PORT`. */
  readonly endpoint: string;
  readonly keys: AwsKeys = CEPH_KEYS;
  readonly region: string = CEPH_REGION;
  readonly #cluster: Cluster;
  readonly #reaper: Reaper;
  #process: ChildProcess | undefined;

  constructor(cluster: Cluster, port: number, reaper: Reaper) {
    this.#cluster = cluster;
    this.#reaper = reaper;
    this.port = port;
    this.endpoint = `http://127.0.0.1:${port}`;
  }

  /** A client for looking at the store past Rivulet; destroy it after use. @param keys - the lasting ones when absent */
  client({ accessKeyId, secretAccessKey }: AwsKeys = this.keys): S3Client {
    return new S3Client({
      region: this.region,
      endpoint: this.endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
  }

  async createBucket(name: string): Promise<void> {
    const client = this.client();
    try {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    } finally {
      client.destroy();
    }
  }

  /**
   * Keys that stop working after `durationSeconds` (from 1). The gateway then answers 403 `AccessDenied`, where AWS
   * would say `ExpiredToken`.
   */
  async assumeRole(durationSeconds: number, sessionName = 'rivulet-test'): Promise<AwsKeys> {
    const assume = fromTemporaryCredentials({
      params: {
        RoleArn: CEPH_ROLE_ARN,
        RoleSessionName: sessionName,
        DurationSeconds: durationSeconds,
      },
      masterCredentials: {
        accessKeyId: this.keys.accessKeyId,
        secretAccessKey: this.keys.secretAccessKey,
      },
      clientConfig: { region: this.region, endpoint: this.endpoint },
    });
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await assume();
    return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs: expiration?.getTime() };
  }

  /** A user that may do nothing in the buckets of others until a policy says so. @returns its keys */
  async createUser(name: string): Promise<AwsKeys> {
    const keys = { accessKeyId: `${name}-key`, secretAccessKey: `${name}-secret` };
    const words = ['user', 'create', `--uid=${name}`, `--display-name=${name}`];
    await this.#cluster.admin(
      ...words,
      `--access-key=${keys.accessKeyId}`,
      `--secret=${keys.secretAccessKey}`,
    );
    return keys;
  }

  /** A user in a tenant of its own, whose buckets others name `tenant:bucket`, with a bucket. @returns its keys */
  async createTenant(tenant: string, bucket: string): Promise<AwsKeys> {
    const keys = { accessKeyId: `${tenant}-key`, secretAccessKey: `${tenant}-secret` };
    const words = ['user', 'create', `--tenant=${tenant}`, '--uid=owner', '--display-name=owner'];
    await this.#cluster.admin(
      ...words,
      `--access-key=${keys.accessKeyId}`,
      `--secret=${keys.secretAccessKey}`,
    );
    const client = this.client(keys);
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
    } finally {
      client.destroy();
    }
    return keys;
  }

  /** Ends the gateway's process, as an outage: nobody listens any more, the data stays. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child !== undefined) await this.#reaper.end(child);
  }

  /** Starts the gateway on the same port, over the same data. */
  async start(): Promise<void> {
    assert.equal(this.#process, undefined, 'the gateway runs already');
    // Without it an answer's body waits 40 ms for the client's system to acknowledge the head.
    const frontend = `beast endpoint=127.0.0.1:${this.port} tcp_nodelay=1`;
    this.#process = this.#cluster.spawn('radosgw', ['-f', '-n', 'client.rgw', `--rgw-frontends=${frontend}`]);
    await until('the gateway', async () => {
      assert.equal(this.#process?.exitCode, null, `the gateway ended; see ${this.#cluster.directory}`);
      return (await fetch(this.endpoint, { signal: AbortSignal.timeout(2_000) })).ok;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process = undefined;
    await this.#reaper.finish();
  }
}

/** Monitor and object daemon: what the gateway stores into. */
class Cluster {
  readonly directory: string;
  readonly #monitorPort: number;
  readonly #reaper: Reaper;

  constructor(directory: string, monitorPort: number, reaper: Reaper) {
    this.directory = directory;
    this.#monitorPort = monitorPort;
    this.#reaper = reaper;
  }

  async start(): Promise<void> {
    for (const name of ['mon', 'osd0', 'rgw', 'run', 'log']) mkdirSync(join(this.directory, name));
    const clusterId = randomUUID();
    writeFileSync(join(this.directory, 'ceph.conf'), this.#configuration(clusterId));
    await this.#startMonitor(clusterId);
    await this.#startObjectDaemon();
  }

  async admin(...args: string[]): Promise<string> {
    return this.#run('radosgw-admin', args);
  }

  async makeUserAndRole(): Promise<void> {
    const trust = {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { AWS: ['arn:aws:iam:::user/test'] },
          Action: ['sts:AssumeRole'],
        },
      ],
    };
    const policy = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:*'], Resource: 'arn:aws:s3:::*' }],
    };
    const keys = [`--access-key=${CEPH_KEYS.accessKeyId}`, `--secret=${CEPH_KEYS.secretAccessKey}`];
    await this.admin('user', 'create', '--uid=test', '--display-name=test', ...keys, '--caps=roles=*');
    const role = '--role-name=S3Access';
    const document = `--assume-role-policy-doc=${JSON.stringify(trust)}`;
    await this.admin('role', 'create', role, '--path=/', document);
    await this.admin('role-policy', 'put', role, '--policy-name=P', `--policy-doc=${JSON.stringify(policy)}`);
  }

  /** A daemon in the foreground; what it prints goes into a file of the log folder. */
  spawn(command: string, args: readonly string[]): ChildProcess {
    const output = openSync(join(this.directory, 'log', `${command}.out`), 'a');
    try {
      const child = spawn(command, args, {
        env: this.#environment(),
        stdio: ['ignore', output, output],
        detached: true,
      });
      this.#reaper.watch(child);
      return child;
    } finally {
      closeSync(output);
    }
  }

  async #startMonitor(clusterId: string): Promise<void> {
    const keyring = join(this.directory, 'keyring');
    const all = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *', '--cap', 'mgr', 'allow *'];
    await this.#run('ceph-authtool', [
      '--create-keyring',
      keyring,
      '--gen-key',
      '-n',
      'mon.',
      ...all.slice(0, 3),
    ]);
    for (const name of ['client.admin', 'client.rgw'])
      await this.#run('ceph-authtool', [keyring, '--gen-key', '-n', name, ...all]);
    const map = join(this.directory, 'monmap');
    const address = `[v2:127.0.0.1:${this.#monitorPort}]`;
    await this.#run('monmaptool', ['--create', '--fsid', clusterId, '--addv', 'a', address, map]);
    await this.#run('ceph-mon', ['--mkfs', '-i', 'a', '--monmap', map, '--keyring', keyring]);
    this.spawn('ceph-mon', ['-f', '-i', 'a']);
  }

  async #startObjectDaemon(): Promise<void> {
    const key = (await this.#run('ceph-authtool', ['--gen-print-key'])).trim();
    const secrets = join(this.directory, 'osd-secrets.json');
    writeFileSync(secrets, JSON.stringify({ cephx_secret: key }));
    const id = randomUUID();
    await this.#run('ceph', ['osd', 'new', id, '-i', secrets]);
    const keyring = join(this.directory, 'keyring');
    await this.#run('ceph-authtool', [keyring, '-n', 'osd.0', '--add-key', key]);
    await this.#run('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', id]);
    this.spawn('ceph-osd', ['-f', '-i', '0']);
  }

  async #run(command: string, args: readonly string[]): Promise<string> {
    const options = { env: this.#environment(), timeout: COMMAND_TIMEOUT_MS };
    return (await run(command, args, options)).stdout;
  }

  #environment(): NodeJS.ProcessEnv {
    return { ...process.env, CEPH_ARGS: `-c ${join(this.directory, 'ceph.conf')}` };
  }

  #configuration(clusterId: string): string {
    const folder = this.directory;
    return `[global]
fsid = ${clusterId}
mon host = v2:127.0.0.1:${this.#monitorPort}
mon initial members = a
public addr = 127.0.0.1
keyring = ${folder}/keyring
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 8
mon allow pool size one = true
mon data avail warn = 1
osd objectstore = memstore
memstore device bytes = 4294967296
run dir = ${folder}/run
log file = ${folder}/log/$name.log
admin socket = ${folder}/run/$name.asok
pid file = ${folder}/run/$name.pid
mon data = ${folder}/mon
osd data = ${folder}/osd0
rgw data = ${folder}/rgw
ms bind msgr1 = false
rgw s3 auth use sts = true
rgw sts key = abcdefghijklmnop
rgw sts min session duration = 1
`;
  }
}

/** Reads the pids that live, one line for each change, until nobody holds the other end. */
const REAPER_SCRIPT =
  'pids=; while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -9 $pids 2>/dev/null; ' +
  // Until they are gone the killed may still write.
  'for i in 1 2 3 4 5; do rm -rf "$0" && break; sleep 0.2; done';

/**
 * Ends the daemons and removes their folder. A small process holds the other end of a pipe and does it when the pipe
 * closes, so that they are gone also when this process is killed. It is told the pids that live at each change.
 */
class Reaper {
  readonly #alive = new Map<number, ChildProcess>();
  readonly #shell: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(directory: string) {
    // In a session of its own: Ctrl-C in a terminal must not reach it.
    this.#shell = spawn('/bin/sh', ['-c', REAPER_SCRIPT, directory], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.unref();
    this.#shell.stdin?.on('error', () => undefined);
    (this.#shell.stdin as unknown as { unref?(): void } | null)?.unref?.();
    this.#ended = new Promise((resolve) => this.#shell.once('exit', resolve));
  }

  watch(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) throw new Error('the process was not started');
    child.unref();
    this.#alive.set(pid, child);
    child.once('exit', () => {
      this.#alive.delete(pid);
      this.#tell();
    });
    this.#tell();
  }

  async end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async finish(): Promise<void> {
    await Promise.all([...this.#alive.values()].map(async (child) => this.end(child)));
    this.#shell.ref();
    this.#shell.stdin?.end();
    await this.#ended;
  }

  #tell(): void {
    if (this.#shell.stdin?.writable === true)
      this.#shell.stdin.write(`${[...this.#alive.keys()].join(' ')}\n`);
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    let problem: unknown;
    try {
      if (await isSo()) return;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      problem = error;
    }
    if (Date.now() > giveUpAt) throw new Error(`${what} is not ready after a minute`, { cause: problem });
    await sleep(100);
  }
}
