/**
 * An application's database with the real Rivulet beside it, as users run both: the applications are processes of their own, and
 * everything of Rivulet that a test does not ask for is at its default.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Scratch } from '../../support/scratch.ts';
import { type Contents, contentsOf, digestRows } from '../support/contents.ts';
import { countObjects } from '../support/replica-files.ts';
import { run, Running, type RunOptions } from '../support/tools.ts';

/** What it logs once it follows the database; it ends in order from then on. */
const FOLLOWING = /INFO +replicating /;

export interface SceneOptions {
  /** Keys of the configuration beside `dbs`, of the database, and of its one replica. */
  readonly top?: Readonly<Record<string, unknown>>;
  readonly database?: Readonly<Record<string, unknown>>;
  readonly replica?: Readonly<Record<string, unknown>>;
  readonly run?: RunOptions;
}

export class Scene implements AsyncDisposable {
  readonly scratch: Scratch = new Scratch();
  readonly path: string = this.scratch.file('app.db');
  readonly replicaPath: string = this.scratch.file('replica');
  readonly #configPath: string = this.scratch.file('rivulet.yml');
  readonly #options: SceneOptions;
  #running: Running | undefined;

  constructor(options: SceneOptions = {}) {
    this.#options = options;
    const { top, database, replica } = options;
    const dbs = [{ path: this.path, ...database, replicas: [{ path: this.replicaPath, ...replica }] }];
    // JSON is YAML.
    writeFileSync(this.#configPath, JSON.stringify({ ...top, dbs }));
  }

  get rivulet(): Running {
    assert.ok(this.#running !== undefined, 'Rivulet is not running');
    return this.#running;
  }

  /** Starts Rivulet and waits until it follows the database, and with a replica in a directory for its first snapshot. */
  async start(): Promise<void> {
    this.#running = new Running('rivulet', ['replicate', '-config', this.#configPath], this.#options.run);
    await this.#running.until('following', () => FOLLOWING.test(this.rivulet.log));
    if (this.#options.replica === undefined)
      await this.#running.until('a first snapshot', () => countObjects(this.replicaPath) > 0);
  }

  /** Keeps Rivulet from running, so that everything until `wake` happens within one late look. */
  sleep(): void {
    process.kill(this.rivulet.pid, 'SIGSTOP');
  }

  wake(): void {
    process.kill(this.rivulet.pid, 'SIGCONT');
  }

  async stop(): Promise<void> {
    await this.rivulet.stop();
    this.#running = undefined;
  }

  /** Reads the live database. No other connection of this process may be open. */
  rows(): string {
    using database = new DatabaseSync(this.path, { readOnly: true, timeout: 10_000 });
    return digestRows(database);
  }

  async restore(): Promise<Contents> {
    using scratch = new Scratch();
    const output = scratch.file('restored.db');
    const words = ['restore', '-config', this.#configPath, '-o', output, this.path];
    const { code, out, err } = await run('rivulet', words);
    assert.equal(code, 0, `restore: ${out}${err}`);
    return contentsOf(output);
  }

  /** Ends Rivulet and asserts that what it has stored is what the application has. Nobody may write any more. */
  async assertRestoreEquals(): Promise<void> {
    const log = this.rivulet.log;
    await this.stop();
    const { rows } = await this.restore();
    assert.equal(
      rows,
      this.rows(),
      `the restored database is another than the live one\n${log.slice(-3000)}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.[Symbol.asyncDispose]();
    this.scratch[Symbol.dispose]();
  }
}
