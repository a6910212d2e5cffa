/**
 * PocketBase, a real application on SQLite, on loopback: two databases in WAL mode, one connection that writes, logs of its own, and
 * `wal_checkpoint(TRUNCATE)` on both databases before each backup. It is built by `tools/pocketbase/install`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';

const PROGRAM = fileURLToPath(new URL('../../tools/pocketbase/bin/base', import.meta.url));
const IDENTITY = { identity: 'root@example.com', password: 'not-a-secret-1' };
const START_TIMEOUT_MS = 60_000;
const LOOK_MS = 50;
/** Everybody may do everything with the table of the test. */
const OPEN = { createRule: '', listRule: '', viewRule: '', updateRule: '', deleteRule: '' };

/** Why PocketBase is not here, and how to get it; false when it is. */
export function whyNoPocketBase(): string | false {
  return existsSync(PROGRAM) ? false : 'needs PocketBase, built with Go: tools/pocketbase/install';
}

export interface Reply {
  readonly status: number;
  readonly tookMs: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export class PocketBase implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  #child: ChildProcess | undefined;
  #token = '';
  #log = '';

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  /** @param folder - for its data directory, `pb_data` */
  static async start(folder: string): Promise<PocketBase> {
    const started = new PocketBase(folder, await freePort());
    try {
      await started.#start();
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  get databases(): readonly string[] {
    return ['data.db', 'auxiliary.db'].map((name) => join(this.#folder, 'pb_data', name));
  }

  get log(): string {
    return this.#log;
  }

  async #start(): Promise<void> {
    const data = join(this.#folder, 'pb_data');
    const make = ['superuser', 'upsert', IDENTITY.identity, IDENTITY.password, '--dir', data];
    const made = spawnSync(PROGRAM, make, { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`PocketBase: ${made.stdout}${made.stderr}`);
    const words = ['serve', '--http', `127.0.0.1:${this.#port}`, '--dir', data];
    this.#child = spawn(PROGRAM, [...words, '--hooksWatch=false', '--automigrate=false'], {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    await this.#untilHealthy();
    const auth = await this.request('POST', '/api/collections/_superusers/auth-with-password', IDENTITY);
    this.#token = String(auth.body['token']);
    const fields = [
      { name: 'title', type: 'text' },
      { name: 'number', type: 'number' },
    ];
    const posts = { name: 'posts', type: 'base', fields, ...OPEN };
    const { status, body } = await this.request('POST', '/api/collections', posts);
    if (status !== 200) throw new Error(`PocketBase: ${status} ${JSON.stringify(body)}`);
  }

  async #untilHealthy(): Promise<void> {
    const giveUpAtMs = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const reply = await this.request('GET', '/api/health').catch(() => undefined);
      if (reply?.status === 200) return;
      const isOver = this.#child?.exitCode !== null || performance.now() > giveUpAtMs;
      if (isOver) throw new Error(`PocketBase did not start: ${this.#log}`);
      await delay(LOOK_MS);
    }
  }

  /** One request to its API. Rejects only when there is no answer at all. */
  async request(method: string, path: string, body?: unknown): Promise<Reply> {
    const startedMs = performance.now();
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
      method,
      headers: { 'content-type': 'application/json', authorization: this.#token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const tookMs = performance.now() - startedMs;
    return {
      status: response.status,
      tookMs,
      body: text === '' ? {} : (JSON.parse(text) as Reply['body']),
    };
  }

  /** Its own backup of the whole data directory. */
  async backUp(): Promise<Reply> {
    return this.request('POST', '/api/backups', {});
  }

  /** Ends as under a supervisor. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
