import { DatabaseSync } from 'node:sqlite';

const COMMITS_PER_SECOND = 50;

/** An application that commits one row fifty times a second. */
export class SteadyWriter implements Disposable {
  readonly database: DatabaseSync;
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs = performance.now();
  commits = 0;

  constructor(path: string) {
    this.database = new DatabaseSync(path, { timeout: 10_000 });
    this.database.exec('PRAGMA journal_mode=wal; PRAGMA synchronous=normal');
    this.database.exec(
      'CREATE TABLE health (id INTEGER PRIMARY KEY, created_at TEXT DEFAULT CURRENT_TIMESTAMP)',
    );
    const insert = this.database.prepare('INSERT INTO health DEFAULT VALUES');
    this.#timer = setInterval(() => {
      const due = ((performance.now() - this.#startedMs) / 1_000) * COMMITS_PER_SECOND;
      for (; this.commits < due; this.commits++) insert.run();
    }, 1_000 / COMMITS_PER_SECOND);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stop();
    if (this.database.isOpen) this.database.close();
  }
}
