/**
 * An application that knows nothing of replication: `node application.ts SETTINGS`. It changes its database as the
 * seed says until it is told to end, and refuses to go on when it finds its own data damaged.
 */
import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ApplicationReport,
  type ApplicationSettings,
  CHECKPOINT_MODES,
  type Deed,
} from './application-settings.ts';
import {
  addBodyFunction,
  digestOf,
  findFaults,
  type HistoryRow,
  lastHistory,
  NEXT_MARK,
  parseState,
  readLedger,
  SCHEMA,
  type State,
  stateText,
  sumsOf,
  type Table,
  TABLES,
} from './ledger.ts';
import { Random } from './random.ts';

const BUSY = [5, 6];
const PATIENCE_MS = 5_000;
/** Others may hold a read transaction for ever; a checkpoint that waits for them gives up soon. */
const CHECKPOINT_PATIENCE_MS = 60;
/** Above this size the application deletes more than it adds. */
const LARGE_DATABASE_BYTES = 8 * 1024 * 1024;
const PAGE_SIZES = [512, 1024, 4096, 8192, 65_536];

function report(line: ApplicationReport): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && BUSY.includes(Number(error.errcode) & 0xff);
}

class Application {
  readonly #settings: ApplicationSettings;
  readonly #random: Random;
  #database: DatabaseSync;
  #state: State;
  #seq: number;
  #digest: string;
  /** For the locks and the disk of its transaction. */
  #waitedMs = 0;

  constructor(settings: ApplicationSettings) {
    this.#settings = settings;
    this.#random = new Random(settings.seed);
    this.#database = this.#open();
    // In one view: there may be more than one such application.
    this.#database.exec('BEGIN');
    const faults = findFaults(this.#database);
    if (faults.length > 0) {
      report({ kind: 'broken', faults });
      throw new Error(faults.join('; '));
    }
    this.#state = readLedger(this.#database);
    ({ seq: this.#seq, digest: this.#digest } = lastHistory(this.#database));
    this.#database.exec('COMMIT');
    report({ kind: 'started', seq: this.#seq });
  }

  #open(): DatabaseSync {
    const { path, pageSizeBytes, autoVacuum, autoCheckpoint, cachePages, synchronous, journalSizeLimit } =
      this.#settings;
    const database = new DatabaseSync(path, { timeout: PATIENCE_MS });
    addBodyFunction(database);
    // The first two matter only to a database that is still empty.
    database.exec(`PRAGMA page_size=${pageSizeBytes}; PRAGMA auto_vacuum=${autoVacuum};
      PRAGMA journal_mode=WAL; PRAGMA synchronous=${synchronous}; PRAGMA cache_size=${cachePages};
      PRAGMA wal_autocheckpoint=${autoCheckpoint}; PRAGMA journal_size_limit=${journalSizeLimit}`);
    database.exec('BEGIN IMMEDIATE');
    if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'history'").get() === undefined)
      database.exec(SCHEMA);
    database.exec('COMMIT');
    return database;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const deed = this.#random.weighted(this.#settings.weights);
      await this.#try(deed);
      await sleep(this.#random.int(0, this.#settings.pauseMs), undefined, { signal }).catch(() => undefined);
    }
    this.#database.close();
  }

  async #try(deed: Deed): Promise<void> {
    let busy = false;
    this.#waitedMs = 0;
    try {
      await this.#do(deed);
    } catch (error) {
      if (!isBusy(error)) throw error;
      busy = true;
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    }
    report({ kind: 'deed', deed, busy, waitedMs: Math.round(this.#waitedMs) });
  }

  async #do(deed: Deed): Promise<void> {
    const int = (low: number, high: number): number => this.#random.int(low, high);
    switch (deed) {
      case 'small':
        return this.#transaction(1, int(1, 5), true);
      case 'medium':
        return this.#transaction(int(1, 4), int(5, 200), true);
      case 'large':
        return this.#transaction(int(1, 3), int(500, 3_000), true);
      case 'rollback':
        return this.#transaction(int(1, 3), int(100, 2_000), false);
      case 'long':
        return this.#longTransaction();
      case 'checkpoint':
        return this.#checkpoint();
      case 'vacuum':
        return this.#database.exec('VACUUM');
      case 'incrementalVacuum':
        return this.#database.exec(`PRAGMA incremental_vacuum(${int(1, 50)})`);
      case 'index':
        return this.#toggleIndex();
      case 'reopen':
        return this.#reopen();
      case 'rollbackMode':
        return this.#visitRollbackMode();
      case 'rest':
        await sleep(int(20, 250));
    }
  }

  #transaction(changes: number, rows: number, commit: boolean): void {
    const state = this.#begin();
    for (let n = 0; n < changes; n++) this.#change(state, this.#random.pick(TABLES), rows);
    this.#finish(state, commit);
  }

  /** With a small cache the log gets frames of it long before it commits. */
  async #longTransaction(): Promise<void> {
    const state = this.#begin();
    for (let left = this.#random.int(2, 5); left > 0; left--) {
      this.#change(state, this.#random.pick(TABLES), this.#random.int(50, 800));
      await sleep(this.#random.int(5, 90));
    }
    this.#finish(state, this.#random.chance(0.6));
  }

  #begin(): State {
    this.#timed('BEGIN IMMEDIATE');
    this.#takeOver(lastHistory(this.#database));
    return structuredClone(this.#state);
  }

  /** Another application of the same database may have committed since. */
  #takeOver({ seq, state, digest }: HistoryRow): void {
    if (seq !== this.#seq) [this.#state, this.#seq, this.#digest] = [parseState(state), seq, digest];
  }

  #timed(sql: string): void {
    const startedMs = performance.now();
    this.#database.exec(sql);
    this.#waitedMs += performance.now() - startedMs;
  }

  #finish(state: State, commit: boolean): void {
    if (!commit) return this.#database.exec('ROLLBACK');
    const seq = this.#seq + 1;
    const digest = digestOf(this.#digest, seq, stateText(state));
    this.#database.prepare('INSERT INTO history VALUES (?, ?, ?)').run(seq, stateText(state), digest);
    this.#timed('COMMIT');
    [this.#state, this.#seq, this.#digest] = [state, seq, digest];
  }

  #change(state: State, table: Table, rows: number): void {
    const { last } = this.#database.prepare(`SELECT coalesce(max(id), 0) AS last FROM ${table}`).get() as {
      last: number;
    };
    const isLarge = this.#sizeBytes() > LARGE_DATABASE_BYTES;
    const what = this.#random.weighted({ insert: isLarge ? 0 : 5, update: 3, delete: isLarge ? 5 : 1 });
    if (what === 'insert' || last === 0) return this.#insert(state, table, last, rows);
    const from = this.#random.int(1, last);
    const through = isLarge ? last : Math.min(last, from + rows - 1);
    const before = sumsOf(this.#database, table, from, through);
    if (what === 'update') this.#update(table, from, through);
    else this.#database.prepare(`DELETE FROM ${table} WHERE id BETWEEN ? AND ?`).run(from, through);
    const after = sumsOf(this.#database, table, from, through);
    state[table].rows += after.rows - before.rows;
    state[table].sum += after.sum - before.sum;
  }

  #insert(state: State, table: Table, last: number, rows: number): void {
    this.#database
      .prepare(
        `INSERT INTO ${table} (id, mark, body)
           WITH RECURSIVE more (n, mark) AS (
             SELECT 1, :mark UNION ALL SELECT n + 1, ${NEXT_MARK} FROM more WHERE n < :rows)
           SELECT :last + n, mark, body(mark, 1 + mark % :size) FROM more`,
      )
      .run({ mark: this.#random.int(1, 0x7fff_fff0), rows, last, size: this.#bodyBytes(rows) });
    const added = sumsOf(this.#database, table, last + 1);
    state[table].rows += added.rows;
    state[table].sum += added.sum;
  }

  #update(table: Table, from: number, through: number): void {
    this.#database
      .prepare(
        `UPDATE ${table} SET mark = ${NEXT_MARK}, body = body(${NEXT_MARK}, 1 + mark % :size)
           WHERE id BETWEEN :from AND :through`,
      )
      .run({ from, through, size: this.#bodyBytes(through - from + 1) });
  }

  /** Many rows are small ones, so that a transaction stays within a few megabytes. */
  #bodyBytes(rows: number): number {
    const { largestBodyBytes } = this.#settings;
    return Math.max(8, Math.min(largestBodyBytes, Math.floor(3_000_000 / rows)));
  }

  #sizeBytes(): number {
    const pages = this.#database.prepare('PRAGMA page_count').get() as { page_count: number };
    const size = this.#database.prepare('PRAGMA page_size').get() as { page_size: number };
    return pages.page_count * size.page_size;
  }

  #checkpoint(): void {
    const mode = this.#random.pick(CHECKPOINT_MODES);
    this.#database.exec(`PRAGMA busy_timeout=${CHECKPOINT_PATIENCE_MS}`);
    try {
      const row = this.#database.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as {
        busy: number;
        log: number;
        checkpointed: number;
      };
      const { busy, log: frames, checkpointed } = row;
      report({ kind: 'checkpoint', mode, busy: busy !== 0, frames, checkpointed });
    } finally {
      this.#database.exec(`PRAGMA busy_timeout=${PATIENCE_MS}`);
    }
  }

  #toggleIndex(): void {
    const exists = this.#database
      .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'documents_by_mark'")
      .get();
    this.#database.exec(
      exists === undefined
        ? 'CREATE INDEX documents_by_mark ON documents (mark)'
        : 'DROP INDEX documents_by_mark',
    );
  }

  /** The last one to close checkpoints the log and deletes it, when nobody replicates. */
  async #reopen(): Promise<void> {
    this.#database.close();
    await sleep(this.#random.int(0, 30));
    this.#database = this.#open();
  }

  /** Possible only while nobody else is connected; the page size can change there, too. */
  async #visitRollbackMode(): Promise<void> {
    this.#database.exec(`PRAGMA busy_timeout=${CHECKPOINT_PATIENCE_MS}`);
    try {
      this.#database.exec('PRAGMA journal_mode=DELETE');
      if (this.#random.chance(0.3)) {
        this.#database.exec(`PRAGMA page_size=${this.#random.pick(PAGE_SIZES)}; VACUUM`);
      }
      this.#transaction(1, this.#random.int(1, 50), true);
    } finally {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      await this.#reopen();
    }
  }
}

const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());
const settings = JSON.parse(process.argv[2] ?? '{}') as ApplicationSettings;
await new Application(settings).run(ending.signal);
