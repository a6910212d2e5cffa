/**
 * Microsoft's emulator of Azure Blob Storage for tests: in memory, on loopback, on a free port. It is too large to be
 * installed with everything else and has a folder of its own, `tools/azurite`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { Scratch } from './scratch.ts';
import { freePort } from './free-port.ts';

const PROGRAM = fileURLToPath(
  new URL('../../tools/azurite/node_modules/azurite/dist/src/blob/main.js', import.meta.url),
);
const INSTALL = 'npm ci --prefix tools/azurite --ignore-scripts';
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

/** Why Azurite is not here, and how to get it; false when it is. */
export function whyNoAzurite(): string | false {
  return existsSync(PROGRAM) ? false : `needs Azurite: ${INSTALL}`;
}

/** Started by `Azurite.start`; ends with its scope, and with this process when that ends in an orderly way. */
export class Azurite implements AsyncDisposable {
  readonly accountName = 'rivulet';
  /** As base64; other accounts and keys are refused. */
  readonly accountKey: string;
  readonly port: number;
  /** What it has said, for messages of failed tests. */
  log = '';
  readonly #scratch = new Scratch();
  readonly #onExit = (): void => {
    this.#process?.kill('SIGKILL');
  };
  #process: ChildProcess | undefined;

  private constructor(port: number, accountKey: string) {
    this.port = port;
    this.accountKey = accountKey;
  }

  static async start(): Promise<Azurite> {
    const azurite = new Azurite(await freePort(), randomBytes(32).toString('base64'));
    try {
      await azurite.start();
      return azurite;
    } catch (error) {
      await azurite[Symbol.asyncDispose]();
      throw error;
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}/${this.accountName}`;
  }

  /** Begins, with the keys given or with those it had: what it held is gone. */
  async start(accountKeys: readonly string[] = [this.accountKey]): Promise<void> {
    const options = ['--inMemoryPersistence', '--blobHost', '127.0.0.1', '--blobPort', String(this.port)];
    const flags = ['--silent', '--disableTelemetry', '--skipApiVersionCheck'];
    const child = spawn(process.execPath, [PROGRAM, ...options, ...flags], {
      cwd: this.#scratch.path,
      env: { ...process.env, AZURITE_ACCOUNTS: `${this.accountName}:${accountKeys.join(':')}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    process.once('exit', this.#onExit);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => (this.log += text));
    }
    await this.#untilItAnswers(child);
  }

  /** Ends it at once, as a crash would. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    process.removeListener('exit', this.#onExit);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
  }

  /** A container of that name, made now; with what is needed to look behind the store's back. */
  async makeContainer(name: string): Promise<ContainerClient> {
    const credential = new StorageSharedKeyCredential(this.accountName, this.accountKey);
    const client = new ContainerClient(`${this.endpoint}/${name}`, credential);
    await client.create();
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#scratch[Symbol.dispose]();
  }

  async #untilItAnswers(child: ChildProcess): Promise<void> {
    const untilMs = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < untilMs) {
      if (child.exitCode !== null) throw new Error(`Azurite ended with ${child.exitCode}: ${this.log}`);
      const isUp = await fetch(`http://127.0.0.1:${this.port}/`).then(
        async (answer) => answer.arrayBuffer().then(() => true),
        () => false,
      );
      if (isUp) return;
      await sleep(50);
    }
    throw new Error(`Azurite did not start within ${START_TIMEOUT_MS} ms: ${this.log}`);
  }
}
