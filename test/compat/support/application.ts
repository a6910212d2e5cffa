/** An application with a database of its own, in this process; the tools are other processes. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { digestRows } from './contents.ts';
import type { Tool } from './tools.ts';

export interface ApplicationOptions {
  readonly pageSizeBytes?: number;
  readonly autoVacuum?: 'none' | 'full' | 'incremental';
}

export class Application implements Disposable {
  readonly path: string;
  readonly #database: DatabaseSync;
  /** Digest of the rows after every change, the present one last. */
  readonly states: string[] = [];
  #round = 0;

  constructor(path: string, options: ApplicationOptions = {}) {
    this.path = path;
    this.#database = new DatabaseSync(path, { timeout: 10_000 });
    this.#database.exec(`PRAGMA page_size = ${options.pageSizeBytes ?? 4096}`);
    this.#database.exec(`PRAGMA auto_vacuum = ${options.autoVacuum ?? 'none'}`);
    this.#database.exec('PRAGMA journal_mode = wal; PRAGMA synchronous = off');
    this.exec(
      'CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, round INTEGER, body BLOB);' +
        'CREATE INDEX IF NOT EXISTS notes_by_round ON notes (round, body);',
    );
  }

  get rows(): string {
    return digestRows(this.#database);
  }

  exec(sql: string): void {
    this.#database.exec(sql);
    this.states.push(this.rows);
  }

  /** As `exec` without remembering the state: for many changes, or big ones. */
  change(sql: string): void {
    this.#database.exec(sql);
  }

  /** One transaction that adds, changes and removes rows. */
  write(rows: number = 5, bodyBytes: number = 300): void {
    this.#round += 1;
    this.exec(
      `BEGIN; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
         INSERT INTO notes (round, body) SELECT ${this.#round}, randomblob(${bodyBytes}) FROM n;
       UPDATE notes SET body = randomblob(${bodyBytes}) WHERE id % 7 = ${this.#round % 7};
       DELETE FROM notes WHERE id % 11 = ${this.#round % 11} AND round < ${this.#round} - 2; COMMIT`,
    );
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

/**
 * Asserts that the rows of a restored copy are the application's last ones. After v0.3.13 they may be earlier ones: it
 * leaves a last change behind now and then (see `Running`); what it did ship must still be a state of the source.
 */
export function assertShipped(writer: Tool, rows: string, application: Application): void {
  if (writer === 'rivulet') assert.equal(rows, application.states.at(-1));
  else assert.ok(application.states.includes(rows), 'no state of the source');
}
