/** One `rivulet replicate` with many databases on one server, each damaged in its own way, while applications write. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import type { DaemonAnswer } from '../../../src/cli/status/find-status.ts';
import type { ReplicaReport } from '../../../src/daemon/database-status.ts';
import { askSocket } from '../../../src/server/ask-socket.ts';
import { run, Running, type Result } from '../../compat/support/tools.ts';
import { Scratch } from '../../support/scratch.ts';
import type { Place } from './places.ts';

/** Beside what the rest of the machine takes. */
const PATIENCE_MS = 60_000;

export interface Line {
  readonly level: string;
  readonly msg: string;
  readonly db?: string;
  readonly key?: string;
  /** RFC 3339, by the clock of this machine. */
  readonly time: string;
}

/** Keys of the replica of each database, by its name. */
export type Databases = Readonly<Record<string, object>>;

export class ProofScene implements AsyncDisposable {
  readonly place: Place;
  readonly scratch: Scratch = new Scratch();
  readonly #databases: Map<string, DatabaseSync> = new Map();
  readonly #configPath: string;
  readonly #daemon: Running;

  constructor(place: Place, databases: Databases) {
    this.place = place;
    const common = { 'sync-interval': '20ms' };
    const dbs = Object.entries(databases).map(([name, keys]) => ({
      path: this.pathOf(name),
      'monitor-interval': '20ms',
      'min-checkpoint-page-count': 12,
      replicas: [{ ...place.replica(name), ...common, ...keys }],
    }));
    for (const name of Object.keys(databases)) {
      const database = new DatabaseSync(this.pathOf(name), { timeout: 10_000 });
      database.exec('PRAGMA journal_mode = wal; CREATE TABLE t (n INTEGER PRIMARY KEY, body BLOB)');
      this.#databases.set(name, database);
    }
    this.#configPath = this.scratch.file('rivulet.yml');
    const socket = { path: this.#socket };
    writeFileSync(this.#configPath, JSON.stringify({ logging: { type: 'json' }, socket, dbs }));
    this.#daemon = this.#start();
  }

  get #socket(): string {
    return this.scratch.file('sock');
  }

  #start(): Running {
    return new Running('rivulet', ['replicate', '-no-expand-env', '-config', this.#configPath], {
      env: this.place.env,
    });
  }

  pathOf(name: string): string {
    return this.scratch.file(`${name}.db`);
  }

  write(name: string, rows: number = 1): void {
    const database = this.#databases.get(name) ?? assert.fail(name);
    database.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
         INSERT INTO t (body) SELECT randomblob(900) FROM n`,
    );
  }

  /** What the daemon has said so far. */
  get lines(): readonly Line[] {
    return this.#daemon.log
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Line);
  }

  errorsOf(name: string): readonly Line[] {
    return this.lines.filter(({ level, db }) => level.toLowerCase() === 'error' && db === this.pathOf(name));
  }

  async status(): Promise<DaemonAnswer | undefined> {
    return (await askSocket(this.#socket, '/status')) as DaemonAnswer | undefined;
  }

  async replicaOf(name: string): Promise<ReplicaReport> {
    const answer = await this.status();
    const one = answer?.databases.find(({ path }) => path === this.pathOf(name));
    return one?.replicas[0] ?? assert.fail(`nothing is known of ${name}\n${this.#daemon.log}`);
  }

  /** Waits until it is so, and answers how long that took, in milliseconds. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<number> {
    const startedMs = performance.now();
    while (!(await isSo())) {
      const log = this.#daemon.log.slice(-4_000);
      assert.ok(performance.now() - startedMs < PATIENCE_MS, `waited in vain: ${what}\n${log}`);
      await delay(25);
    }
    return performance.now() - startedMs;
  }

  /** Everything is stored. */
  async level(name: string): Promise<void> {
    await this.until(`${name} has everything`, async () => {
      const { lagBytes, confirmed, state } = await this.replicaOf(name);
      return confirmed !== undefined && lagBytes === 0 && state === 'streaming';
    });
  }

  async proven(name: string): Promise<void> {
    await this.until(
      `${name} is proven`,
      async () => (await this.replicaOf(name)).proof?.outcome === 'proven',
    );
  }

  async segments(name: string): Promise<string[]> {
    return (await this.place.keys(name)).filter((key) => key.includes('/wal/'));
  }

  /** The command itself, by configuration. */
  async verify(name: string, ...flags: string[]): Promise<Result> {
    const words = ['verify', '-no-expand-env', '-config', this.#configPath, ...flags, this.pathOf(name)];
    return run('rivulet', words, { env: this.place.env });
  }

  /** What somebody types who was told to. */
  typed(command: string): void {
    const PATH = `${fileURLToPath(new URL('../../../bin', import.meta.url))}:${process.env['PATH'] ?? ''}`;
    const env = { ...process.env, ...this.place.env, PATH };
    execFileSync('sh', ['-c', command], { env, cwd: this.scratch.path, timeout: PATIENCE_MS, stdio: 'pipe' });
  }

  /** Ends it as a supervisor would. */
  async stop(): Promise<void> {
    await this.#daemon.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
    for (const database of this.#databases.values()) database.close();
    this.scratch[Symbol.dispose]();
  }
}
