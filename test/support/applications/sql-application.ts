/** An application in a process of its own that does what a test says, line by line. */
import assert from 'node:assert/strict';
import { ChildScript } from '../child-script.ts';
import type { SqlSettings } from './settings.ts';

type Row = Readonly<Record<string, unknown>>;

export class SqlApplication implements AsyncDisposable {
  readonly #child: ChildScript;

  constructor(path: string, settings: SqlSettings = {}, env: Readonly<Record<string, string>> = {}) {
    this.#child = new ChildScript('applications/sql.ts', [path, JSON.stringify(settings)], env);
  }

  /** Runs each; the rows of the last one. Fails where SQLite does. */
  async run(...lines: readonly string[]): Promise<readonly Row[]> {
    let rows: readonly Row[] = [];
    for (const line of lines) {
      const told = JSON.parse(await this.#child.ask(line)) as { rows: readonly Row[]; error?: string };
      assert.equal(told.error, undefined, line);
      ({ rows } = told);
    }
    return rows;
  }

  /** Runs each, whatever SQLite says; false when it was killed before the end. */
  async survives(...lines: readonly string[]): Promise<boolean> {
    try {
      for (const line of lines) await this.#child.ask(line);
      return true;
    } catch {
      return false;
    }
  }

  /** Checkpoints; fails when somebody is in its way. */
  async checkpoint(mode: 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE'): Promise<void> {
    const [row] = await this.run(`PRAGMA wal_checkpoint(${mode})`);
    assert.equal(row?.['busy'], 0, `wal_checkpoint(${mode}): ${JSON.stringify(row)}`);
  }

  /** Commits `sql` and is killed between the two copies of the index's header. */
  async tear(sql: string): Promise<void> {
    await assert.rejects(this.#child.ask(`tear ${sql}`), /ended/);
    await this.#child.kill();
  }

  /** As if so many transactions had been committed since the index was made. */
  async setCount(change: number): Promise<void> {
    await this.run(`count ${change}`);
  }

  async kill(): Promise<void> {
    await this.#child.kill();
  }

  /** Closes its connection and ends. */
  async close(): Promise<void> {
    await this.#child.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

/** A process that opens the database, does that, and closes it. */
export async function inOneProcess(
  path: string,
  lines: readonly string[],
  settings: SqlSettings = {},
): Promise<void> {
  await using application = new SqlApplication(path, settings);
  await application.run(...lines);
  await application.close();
}
