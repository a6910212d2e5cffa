/** Random uses of one database by several connections, done to the real SQLite and to the simulated one. */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseWalHeader, WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { Random } from '../faults/random.ts';
import { Disk } from './world/disk.ts';
import { SimProcess } from './world/process.ts';
import { type CheckpointMode, PAGE_BYTES, type SimConnection, SimDatabase } from './world/sqlite.ts';

export type Step =
  | { readonly do: 'commit'; readonly by: number; readonly rows: readonly number[] }
  | { readonly do: 'checkpoint'; readonly by: number; readonly mode: CheckpointMode }
  | { readonly do: 'read' | 'end' | 'lock' | 'unlock' | 'reopen' | 'close'; readonly by: number }
  | { readonly do: 'kill all' };

const CONNECTIONS = 3;
export const ROWS = 6;

export function planSteps(seed: number): Step[] {
  const random = new Random(seed);
  const weights = {
    commit: 10,
    checkpoint: 5,
    read: 2,
    end: 3,
    lock: 1,
    unlock: 2,
    close: 1,
    'kill all': 0.3,
  };
  return Array.from({ length: 40 }, (): Step => {
    const by = random.int(0, CONNECTIONS - 1);
    const what = random.weighted(weights);
    if (what === 'kill all') return { do: what };
    if (what === 'checkpoint')
      return { do: what, by, mode: random.pick(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const) };
    if (what !== 'commit') return { do: what, by };
    const rows = Array.from({ length: random.int(1, ROWS) }, (_, i) => i + 1).filter(() =>
      random.chance(0.7),
    );
    return { do: what, by, rows: rows.length === 0 ? [1] : rows };
  });
}

/** What others can see of a log. */
export interface Seen {
  readonly answer: string;
  readonly log: 'none' | 'empty' | 'there';
  readonly checkpointSequence: number | undefined;
  /** Frames up to the size of the file. */
  readonly frames: number;
  /** How the salts came from those before. */
  readonly salts: 'none' | 'the first' | 'the same' | 'one more' | 'others';
}

/** Either of the two. */
export interface Subject {
  perform(step: Step): string;
  log(): Uint8Array | undefined;
  close(): void;
}

export class Watcher {
  #salts: readonly [number, number] | undefined;

  see(answer: string, log: Uint8Array | undefined): Seen {
    if (log === undefined || log.length < WAL_HEADER_BYTES) {
      const kind = log === undefined ? 'none' : 'empty';
      return { answer, log: kind, checkpointSequence: undefined, frames: 0, salts: 'none' };
    }
    const { salt1, salt2, checkpointSequence } = parseWalHeader(log);
    const before = this.#salts;
    this.#salts = [salt1, salt2];
    const frames = Math.floor((log.length - WAL_HEADER_BYTES) / (PAGE_BYTES + 24));
    return { answer, log: 'there', checkpointSequence, frames, salts: relation(before, [salt1, salt2]) };
  }
}

function relation(before: readonly [number, number] | undefined, [one, two]: readonly [number, number]) {
  if (before === undefined) return 'the first';
  if (before[0] === one) return before[1] === two ? 'the same' : 'others';
  return one === (before[0] + 1) >>> 0 ? 'one more' : 'others';
}

/** The real one; being killed is opening copies of the files elsewhere, without the shared memory. */
export class RealSubject implements Subject {
  readonly #scratch: string;
  #path: string;
  #lives = 0;
  #connections: (DatabaseSync | undefined)[] = [];

  constructor(scratch: string) {
    this.#scratch = scratch;
    this.#path = join(scratch, 'real.db');
    const database = new DatabaseSync(this.#path);
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL`);
    database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, filler BLOB)');
    for (let id = 1; id <= ROWS; id++) database.exec(`INSERT INTO t VALUES (${id}, 0, zeroblob(400))`);
    database.close();
  }

  #open(by: number): DatabaseSync {
    const open = this.#connections[by];
    if (open !== undefined) return open;
    const database = new DatabaseSync(this.#path, { timeout: 0 });
    database.exec('PRAGMA wal_autocheckpoint = 0');
    database.prepare('SELECT count(*) FROM t').get();
    this.#connections[by] = database;
    return database;
  }

  perform(step: Step): string {
    if (step.do === 'kill all') return this.#killAll();
    if (step.do === 'close') {
      this.#connections[step.by]?.close();
      this.#connections[step.by] = undefined;
      return '';
    }
    const database = this.#open(step.by);
    if (step.do === 'checkpoint') {
      const row = database.prepare(`PRAGMA wal_checkpoint(${step.mode})`).get() as Record<string, number>;
      return `${row['busy']} ${row['log']} ${row['checkpointed']}`;
    }
    if (step.do === 'commit') {
      const change = step.rows.map((id) => `UPDATE t SET n = n + 1 WHERE id = ${id}`).join(';');
      return attempt(database, `BEGIN IMMEDIATE; ${change}; COMMIT`);
    }
    if (step.do === 'read') return attempt(database, 'BEGIN; SELECT n FROM t');
    if (step.do === 'lock') return attempt(database, 'BEGIN IMMEDIATE');
    return attempt(database, 'ROLLBACK');
  }

  #killAll(): string {
    const path = join(this.#scratch, String(++this.#lives), 'real.db');
    mkdirSync(join(this.#scratch, String(this.#lives)));
    for (const suffix of ['', '-wal'])
      if (existsSync(this.#path + suffix)) copyFileSync(this.#path + suffix, path + suffix);
    this.close();
    this.#path = path;
    return '';
  }

  log(): Uint8Array | undefined {
    return existsSync(`${this.#path}-wal`) ? readFileSync(`${this.#path}-wal`) : undefined;
  }

  close(): void {
    for (const database of this.#connections) database?.close();
    this.#connections = [];
  }
}

function attempt(database: DatabaseSync, sql: string): string {
  try {
    database.exec(sql);
    return 'done';
  } catch (error) {
    return String((error as { errcode?: number }).errcode);
  }
}

const SQLITE_BUSY = '5';

/** The simulated one, with as many pages as the real table has rows. */
export class SimSubject implements Subject {
  readonly #disk: Disk;
  #database: SimDatabase;
  #process: SimProcess;
  #connections: (SimConnection | undefined)[] = [];
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#disk = new Disk(this.#random, () => 0);
    this.#disk.makeDirectory('/data');
    this.#database = new SimDatabase('/data/sim.db', this.#disk, this.#random, () => 0);
    this.#database.create(Array.from({ length: ROWS }, () => new Uint8Array(PAGE_BYTES)));
    this.#process = this.#newProcess();
  }

  #newProcess(): SimProcess {
    return new SimProcess('test', this.#disk, { beforeCall: () => undefined, nowMs: () => 0 });
  }

  #open(by: number): SimConnection {
    return (this.#connections[by] ??= this.#database.open(this.#process));
  }

  perform(step: Step): string {
    if (step.do === 'kill all') {
      this.#process.kill();
      this.#process = this.#newProcess();
      this.#connections = [];
      return '';
    }
    if (step.do === 'close') {
      this.#connections[step.by]?.close();
      this.#connections[step.by] = undefined;
      return '';
    }
    const connection = this.#open(step.by);
    if (step.do === 'checkpoint') {
      const { busy, logFrames, checkpointedFrames } = finish(connection.checkpoint(step.mode));
      return `${Number(busy)} ${logFrames} ${checkpointedFrames}`;
    }
    if (step.do === 'commit') return this.#commit(connection, step.rows);
    if (step.do === 'read') connection.beginRead();
    else if (step.do === 'lock') {
      if (connection.tryBeginWrite()) return 'done';
      connection.endRead();
      return SQLITE_BUSY;
    } else connection.endWrite();
    return 'done';
  }

  #commit(connection: SimConnection, rows: readonly number[]): string {
    if (!connection.tryBeginWrite()) {
      connection.endRead();
      return SQLITE_BUSY;
    }
    const changes = new Map(rows.map((row) => [row, new Uint8Array(PAGE_BYTES)]));
    finish(connection.commit(changes, ROWS, { sync: false }));
    connection.endWrite();
    return 'done';
  }

  log(): Uint8Array | undefined {
    const { wal } = this.#database;
    return wal?.content.slice(0, wal.sizeBytes);
  }

  close(): void {
    this.#process.kill();
  }
}

function finish<Result>(steps: Generator<void, Result, void>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** What each connection is in the middle of: a step that SQLite itself would refuse is left out. */
export function* sensible(steps: readonly Step[]): Generator<Step> {
  const inside = new Map<number, 'read' | 'lock'>();
  for (const step of steps) {
    if (step.do === 'kill all') {
      inside.clear();
      yield step;
      continue;
    }
    const now = inside.get(step.by);
    if (step.do === 'end' || step.do === 'unlock') {
      if (now === undefined) continue;
      inside.delete(step.by);
      yield step;
    } else if (now === undefined) {
      if (step.do === 'lock' && [...inside.values()].includes('lock')) continue;
      if (step.do === 'read' || step.do === 'lock') inside.set(step.by, step.do);
      yield step;
    }
  }
}
