/**
 * The real `rivulet replicate`, a real application that writes all the time in a process of its own, and a destination
 * that the test makes fail. However it fails, the same must hold in the end: see `finish`.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { integrityOf } from '../../compat/support/contents.ts';
import { Running, run } from '../../compat/support/tools.ts';
import { Scratch } from '../../support/scratch.ts';
import type { WriterReport } from './writer-report.ts';

const WRITER = fileURLToPath(new URL('writer-process.ts', import.meta.url));
const PATIENCE_MS = 120_000;
const MIB = 1024 * 1024;

/** The application may wait for the write lock while a log is handed over; machines of tests are slow. */
export const COMMIT_MS_MAX = 2_000;
/** Of the whole process, code and libraries included, which are some 90 MiB of it. */
export const RSS_BYTES_MAX: number = 320 * MIB;
const SPOOL_LIMIT_BYTES = 16 * MIB;
/** Beyond this the application waits, as `wal-limit` says; the transaction that crosses it is in the log, too. */
const WAL_LIMIT_BYTES = 64 * MIB;

export interface SceneOptions {
  /** Keys of the replica beside those that this file sets. */
  readonly replica: Readonly<Record<string, unknown>>;
  readonly database?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Rows that are there before anybody looks. */
  readonly seedRows?: number;
  readonly seedBodyBytes?: number;
  readonly bodyBytes?: number;
  readonly pauseMs?: number;
  /** How much faster the replicator's clocks go, when they do. */
  readonly timeFactor?: number;
}

export interface LogLine {
  /** A word, or pino's number. */
  readonly level: string | number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export class Scene implements AsyncDisposable {
  readonly scratch: Scratch = new Scratch();
  readonly path: string = this.scratch.file('app.db');
  readonly config: string = this.scratch.file('rivulet.yml');
  readonly #options: SceneOptions;
  #writer: ChildProcess | undefined;
  #writerText = '';
  #replicator: Running | undefined;
  /** Of all processes of the replicator, one after the other. */
  #logs = '';
  readonly #sampling: NodeJS.Timeout;
  /** The most that was seen at once. */
  peak: { readonly rssBytes: number; readonly spoolBytes: number; readonly walBytes: number } = {
    rssBytes: 0,
    spoolBytes: 0,
    walBytes: 0,
  };
  /** A moment before the fault from which everything must stay restorable, with the last row of then. */
  #before: { at: Date; lastId: number } | undefined;

  constructor(options: SceneOptions) {
    this.#options = options;
    this.writeConfig();
    this.#seed();
    this.#sampling = setInterval(() => this.#sample(), 50);
  }

  /** Replicates and writes, until everything that was there at first is stored. */
  static async start(options: SceneOptions): Promise<Scene> {
    const scene = new Scene(options);
    try {
      scene.startReplicator();
      await scene.startWriter();
      await scene.caughtUp();
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  writeConfig(more: Readonly<Record<string, unknown>> = {}): void {
    const { replica, database = {} } = this.#options;
    const replicas = [{ 'sync-interval': '50ms', ...replica, ...more }];
    const limits = {
      'wal-limit': `${WAL_LIMIT_BYTES / MIB}MiB`,
      'spool-limit': `${SPOOL_LIMIT_BYTES / MIB}MiB`,
    };
    const dbs = [{ path: this.path, 'monitor-interval': '50ms', ...limits, ...database, replicas }];
    const config = { addr: '127.0.0.1:0', logging: { type: 'json' }, dbs, 'shutdown-timeout': '60s' };
    writeFileSync(this.config, JSON.stringify(config));
  }

  #seed(): void {
    const { seedRows = 50, seedBodyBytes = 2_000 } = this.#options;
    using database = new DatabaseSync(this.path);
    database.exec('PRAGMA journal_mode=wal; PRAGMA synchronous=off');
    database.exec(`CREATE TABLE events (id INTEGER PRIMARY KEY, at_ms INTEGER, body BLOB);
      CREATE TABLE counts (id INTEGER PRIMARY KEY, events INTEGER);
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${seedRows})
        INSERT INTO events (at_ms, body) SELECT 0, randomblob(${seedBodyBytes}) FROM n;
      INSERT INTO counts VALUES (1, ${seedRows})`);
  }

  startReplicator(): void {
    const { env = {} } = this.#options;
    this.#replicator = new Running('rivulet', ['replicate', '-config', this.config], { env });
  }

  /** Waits until it ends by itself. @returns its exit code */
  async replicatorEnded(): Promise<number | null> {
    const replicator = this.#replicator;
    assert.ok(replicator !== undefined, 'nobody replicates');
    const code = await replicator.ended;
    this.#logs += replicator.log;
    this.#replicator = undefined;
    return code;
  }

  /** Ends it as a supervisor does, or as a power cut does. */
  async stopReplicator(how: 'stop' | 'kill' = 'stop'): Promise<void> {
    const replicator = this.#replicator;
    if (replicator === undefined) return;
    this.#sample();
    if (how === 'stop') await replicator.stop();
    else await replicator[Symbol.asyncDispose]();
    this.#logs += replicator.log;
    this.#replicator = undefined;
  }

  async startWriter(): Promise<void> {
    const { bodyBytes = 2_000, pauseMs = 10 } = this.#options;
    const words = [WRITER, this.path, String(bodyBytes), String(pauseMs)];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#writer = child;
    this.#writerText = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#writerText += text));
    await this.until('the application', () => this.#writerText.includes('writing'));
  }

  get log(): string {
    return this.#logs + (this.#replicator?.log ?? '');
  }

  /** Everything above `debug`. */
  get lines(): LogLine[] {
    return this.log
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as LogLine);
  }

  said(text: string): number {
    return this.lines.filter(({ msg }) => msg === text).length;
  }

  async until(
    what: string,
    isSo: () => boolean | Promise<boolean>,
    patienceMs: number = PATIENCE_MS,
  ): Promise<void> {
    const giveUpAtMs = performance.now() + patienceMs;
    while (!(await isSo())) {
      if (performance.now() > giveUpAtMs)
        throw new Error(`waited in vain for ${what}\n${this.log.slice(-4_000)}`);
      await sleep(25);
    }
  }

  /** How far the destination is behind, in milliseconds; undefined while nobody answers. */
  async lagMs(): Promise<number | undefined> {
    const served = this.lines.findLast(({ msg }) => msg === 'serving metrics and health');
    if (served === undefined) return undefined;
    const url = String(served['url']).replace('/metrics', '/healthz');
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    const health = (await answer?.json().catch(() => undefined)) as
      | { databases: { state: string; replicas: { state: string; lagMs: number }[] }[] }
      | undefined;
    const [database] = health?.databases ?? [];
    const [replica] = database?.replicas ?? [];
    return database?.state === 'following' && replica?.state !== 'starting' ? replica?.lagMs : undefined;
  }

  /** Waits until everything from before this call is stored. @returns how long that took */
  async caughtUp(patienceMs?: number): Promise<number> {
    const startedMs = performance.now();
    const { timeFactor = 1 } = this.#options;
    const isSo = async (): Promise<boolean> => {
      const passedMs = performance.now() - startedMs;
      const lagMs = await this.lagMs();
      return lagMs !== undefined && lagMs < passedMs * timeFactor && this.said('snapshot written') > 0;
    };
    await this.until('catching up', isSo, patienceMs);
    return performance.now() - startedMs;
  }

  /** Remembers this moment: what is stored now must be restorable in the end. @param offsetMs - of the store's clock */
  async remember(offsetMs = 0): Promise<void> {
    await this.caughtUp();
    const lastId = this.lastId();
    // Stores tell times in whole seconds.
    await sleep(1_100);
    await this.caughtUp();
    this.#before = { at: new Date(Date.now() + offsetMs), lastId };
    await sleep(1_100);
  }

  lastId(): number {
    using database = new DatabaseSync(this.path, { timeout: 10_000 });
    return Number(database.prepare('SELECT max(id) AS id FROM events').get()?.['id']);
  }

  async stopWriter(): Promise<WriterReport> {
    const writer = this.#writer;
    assert.ok(writer !== undefined, 'nobody writes');
    const closed = new Promise((resolve) => writer.once('close', resolve));
    writer.kill('SIGTERM');
    await closed;
    this.#writer = undefined;
    const line = this.#writerText.trim().split('\n').at(-1) ?? '';
    return JSON.parse(line) as WriterReport;
  }

  /**
   * The end, after which all of this holds: the application saw no error and no commit of it took long; everything was
   * stored; a restored copy equals the database row by row; so does one of the remembered moment, up to then; memory, spool
   * and log stayed within their bounds.
   */
  async finish(): Promise<WriterReport> {
    await this.caughtUp();
    const report = await this.stopWriter();
    await this.stopReplicator();
    assert.deepEqual(report.errors, []);
    assert.ok(report.longestMs < COMMIT_MS_MAX, `a commit took ${report.longestMs} ms`);
    const copy = await this.restore();
    assert.equal(this.differencesTo(copy), 0, 'rows of the copy');
    assert.equal(this.countOf(copy), this.countOf(this.path));
    await this.#assertBefore();
    const { rssBytes, spoolBytes, walBytes } = this.peak;
    assert.ok(rssBytes > 0 && rssBytes < RSS_BYTES_MAX, `${rssBytes / MIB} MiB of memory`);
    assert.ok(spoolBytes <= SPOOL_LIMIT_BYTES + MIB, `${spoolBytes / MIB} MiB of spool`);
    assert.ok(walBytes <= WAL_LIMIT_BYTES + 8 * MIB, `${walBytes / MIB} MiB of log`);
    const shown = [rssBytes, spoolBytes, walBytes].map((bytes) => (bytes / MIB).toFixed(1)).join(' / ');
    console.log(
      `    ${report.commits} commits, longest ${Math.round(report.longestMs)} ms; MiB of memory/spool/log: ${shown}`,
    );
    return report;
  }

  async #assertBefore(): Promise<void> {
    if (this.#before === undefined) return;
    const { at, lastId } = this.#before;
    const copy = await this.restore(['-timestamp', at.toISOString()], 'before.db');
    using database = new DatabaseSync(copy, { readOnly: true });
    const last = database.prepare('SELECT max(id) AS id FROM events').get();
    const restoredId = Number(last?.['id']);
    assert.ok(restoredId >= lastId, `it ends with row ${restoredId}, before ${lastId}`);
    assert.ok(restoredId < this.lastId(), 'it is no earlier state');
    const count = Number(database.prepare('SELECT events FROM counts').get()?.['events']);
    assert.equal(count, restoredId, 'it is a state between transactions');
    assert.equal(this.differencesTo(copy, restoredId), 0, 'rows of the earlier state');
  }

  /** @returns the path of the copy, which has passed SQLite's full check */
  async restore(more: readonly string[] = [], name = 'copy.db'): Promise<string> {
    const output = this.scratch.file(name);
    const words = ['restore', '-config', this.config, '-o', output, ...more, this.path];
    const { env = {} } = this.#options;
    const { code, out, err } = await run('rivulet', words, { env });
    assert.equal(code, 0, out + err);
    assert.equal(integrityOf(output), 'ok');
    return output;
  }

  /** Rows that are in one of the two only; up to `lastId` of the live one. */
  differencesTo(copy: string, lastId: number = Number.MAX_SAFE_INTEGER): number {
    using database = new DatabaseSync(this.path, { timeout: 10_000 });
    database.prepare('ATTACH ? AS copy').run(pathToFileURL(copy).pathname);
    const counted = database
      .prepare(
        `SELECT (SELECT count(*) FROM (SELECT * FROM main.events WHERE id <= ?1 EXCEPT SELECT * FROM copy.events))
           + (SELECT count(*) FROM (SELECT * FROM copy.events EXCEPT SELECT * FROM main.events)) AS rows`,
      )
      .get(lastId);
    return Number(counted?.['rows']);
  }

  countOf(path: string): number {
    using database = new DatabaseSync(path, { readOnly: true });
    return Number(database.prepare('SELECT count(*) AS rows FROM events').get()?.['rows']);
  }

  #sample(): void {
    const folder = dirname(this.path);
    const spool = globSync('.app.db-rivulet/**/spool*/**', { cwd: folder, withFileTypes: true });
    const spoolBytes = spool.reduce(
      (sum, one) => sum + (one.isFile() ? sizeOf(`${one.parentPath}/${one.name}`) : 0),
      0,
    );
    this.peak = {
      rssBytes: Math.max(this.peak.rssBytes, peakRssOf(this.#replicator?.pid)),
      spoolBytes: Math.max(this.peak.spoolBytes, spoolBytes),
      walBytes: Math.max(this.peak.walBytes, sizeOf(`${this.path}-wal`)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sampling);
    this.#writer?.kill('SIGKILL');
    await this.#replicator?.[Symbol.asyncDispose]();
    this.scratch[Symbol.dispose]();
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The most memory that a process had at a time; 0 where the system does not tell. */
function peakRssOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
