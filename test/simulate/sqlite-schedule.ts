/** Random uses of one database by several connections, done to the real SQLite and to the simulated one. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseWalHeader, WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';
import { readWalIndex, WAL_INDEX_BYTES } from '../../src/wal/wal-index.ts';
import { Random } from '../faults/random.ts';
import { Disk } from './world/disk.ts';
import { SimProcess } from './world/process.ts';
import {
  type CheckpointMode,
  PAGE_BYTES,
  type SimConnection,
  SimDatabase,
  type Steps,
} from './world/sqlite.ts';

export type Step =
  /** `upgrade`: what was begun as a read becomes a write. `tear`: the writer dies between the two copies of the header. */
  | {
      readonly do: 'commit' | 'upgrade' | 'tear';
      readonly by: number;
      readonly rows: readonly number[];
    }
  | { readonly do: 'checkpoint'; readonly by: number; readonly mode: CheckpointMode }
  | { readonly do: 'read' | 'end' | 'lock' | 'unlock' | 'reopen' | 'close'; readonly by: number }
  | { readonly do: 'kill all' };

export const ROWS = 6;
const INDEX_HEADER_BYTES = 48;

export function planSteps(seed: number): Step[] {
  const random = new Random(seed);
  // More of them than there are read marks, in every other schedule.
  const connections = random.pick([3, 8]);
  const weights = {
    commit: 10,
    upgrade: 3,
    tear: 0.4,
    checkpoint: 5,
    read: 2,
    end: 3,
    lock: 1,
    unlock: 2,
    close: 1,
    'kill all': 0.3,
  };
  return Array.from({ length: 40 }, (): Step => {
    const by = random.int(0, connections - 1);
    const what = random.weighted(weights);
    if (what === 'kill all') return { do: what };
    if (what === 'checkpoint')
      return { do: what, by, mode: random.pick(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const) };
    if (what !== 'commit' && what !== 'upgrade' && what !== 'tear') return { do: what, by };
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
  readonly index: SeenIndex | string;
}

/** What the head of the index says; sizes and salts only as far as they are the same for both. */
export interface SeenIndex {
  readonly change: number;
  readonly frames: number;
  readonly backfilledFrames: number;
  readonly readMarks: readonly number[];
  readonly knowsPageCount: boolean;
  readonly pageSizeBytes: number;
  readonly hasSaltsOfLog: boolean;
}

/** Either of the two. */
export interface Subject {
  perform(step: Step): string;
  log(): Uint8Array | undefined;
  /** The first bytes of the `-shm` file; undefined while nobody has the database open. */
  index(): Uint8Array | undefined;
  close(): void;
}

export class Watcher {
  #salts: readonly [number, number] | undefined;

  see(answer: string, log: Uint8Array | undefined, head: Uint8Array | undefined): Seen {
    const index = seenIndex(head, log);
    if (log === undefined || log.length < WAL_HEADER_BYTES) {
      const kind = log === undefined ? 'none' : 'empty';
      return { answer, log: kind, checkpointSequence: undefined, frames: 0, salts: 'none', index };
    }
    const { salt1, salt2, checkpointSequence } = parseWalHeader(log);
    const before = this.#salts;
    this.#salts = [salt1, salt2];
    const frames = Math.floor((log.length - WAL_HEADER_BYTES) / (PAGE_BYTES + 24));
    const salts = relation(before, [salt1, salt2]);
    return { answer, log: 'there', checkpointSequence, frames, salts, index };
  }
}

function seenIndex(head: Uint8Array | undefined, log: Uint8Array | undefined): SeenIndex | string {
  if (head === undefined) return 'closed';
  const reading = readWalIndex(head);
  if (reading.kind !== 'index') return reading.kind;
  const { change, frames, backfilledFrames, readMarks, pageCount, pageSizeBytes, salt1, salt2 } =
    reading.index;
  const header = log !== undefined && log.length >= WAL_HEADER_BYTES ? parseWalHeader(log) : undefined;
  return {
    change,
    frames,
    backfilledFrames,
    readMarks,
    knowsPageCount: pageCount > 0,
    pageSizeBytes,
    hasSaltsOfLog: header?.salt1 === salt1 && header.salt2 === salt2,
  };
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
  readonly #isPadded: boolean;
  #lives = 0;
  #connections: (DatabaseSync | undefined)[] = [];
  /** Opened after the first connection, closed after the last. */
  #shm: number | undefined;

  constructor(scratch: string, isPadded: boolean) {
    this.#scratch = scratch;
    this.#isPadded = isPadded;
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
    const uri = `file:${this.#path}?psow=${this.#isPadded ? 0 : 1}`;
    const database = new DatabaseSync(uri, { timeout: 0 });
    database.exec('PRAGMA wal_autocheckpoint = 0');
    database.prepare('SELECT count(*) FROM t').get();
    this.#connections[by] = database;
    this.#shm ??= openSync(`${this.#path}-shm`, 'r+');
    return database;
  }

  #close(by: number): void {
    this.#connections[by]?.close();
    this.#connections[by] = undefined;
    if (this.#shm === undefined || this.#connections.some((one) => one !== undefined)) return;
    closeSync(this.#shm);
    this.#shm = undefined;
  }

  #readIndex(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, readSync(this.#shm as number, bytes, 0, length, 0));
  }

  perform(step: Step): string {
    if (step.do === 'kill all') return this.#killAll();
    if (step.do === 'close') {
      this.#close(step.by);
      return '';
    }
    const database = this.#open(step.by);
    if (step.do === 'checkpoint') {
      const row = database.prepare(`PRAGMA wal_checkpoint(${step.mode})`).get() as Record<string, number>;
      return `${row['busy']} ${row['log']} ${row['checkpointed']}`;
    }
    if (step.do === 'commit' || step.do === 'tear' || step.do === 'upgrade') {
      const change = step.rows.map((id) => `UPDATE t SET n = n + 1 WHERE id = ${id}`).join(';');
      if (step.do === 'upgrade') return attempt(database, `${change}; COMMIT`);
      const before = this.#readIndex(INDEX_HEADER_BYTES);
      const answer = attempt(database, `BEGIN IMMEDIATE; ${change}; COMMIT`);
      if (step.do === 'tear' && answer === 'done')
        writeSync(this.#shm as number, before, 0, before.length, 0);
      return answer;
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

  index(): Uint8Array | undefined {
    return this.#shm === undefined ? undefined : this.#readIndex(WAL_INDEX_BYTES);
  }

  close(): void {
    for (const by of this.#connections.keys()) this.#close(by);
    this.#connections = [];
  }
}

function attempt(database: DatabaseSync, sql: string): string {
  try {
    database.exec(sql);
    return 'done';
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    return String((error as { errcode?: number }).errcode);
  }
}

const SQLITE_BUSY = '5';
const SQLITE_BUSY_SNAPSHOT = '517';

/** The simulated one, with as many pages as the real table has rows. */
export class SimSubject implements Subject {
  readonly #disk: Disk;
  #database: SimDatabase;
  #process: SimProcess;
  #connections: (SimConnection | undefined)[] = [];
  readonly #random: Random;
  readonly #isPadded: boolean;

  constructor(seed: number, isPadded: boolean) {
    this.#isPadded = isPadded;
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
    const open = this.#connections[by];
    if (open !== undefined) return open;
    const connection = this.#database.open(this.#process);
    finish(connection.beginRead());
    connection.endRead();
    this.#connections[by] = connection;
    return connection;
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
    if (step.do === 'tear') return this.#tear(connection, step.rows);
    if (step.do === 'upgrade') return this.#upgrade(connection, step.rows);
    if (step.do === 'read') finish(connection.beginRead());
    else if (step.do === 'lock') return finish(connection.beginWrite()) ? 'done' : SQLITE_BUSY;
    else connection.endWrite();
    return 'done';
  }

  #commit(connection: SimConnection, rows: readonly number[]): string {
    return finish(connection.beginWrite()) ? this.#write(connection, rows) : SQLITE_BUSY;
  }

  #upgrade(connection: SimConnection, rows: readonly number[]): string {
    const lock = connection.upgrade();
    if (lock === 'done') return this.#write(connection, rows);
    connection.endRead();
    return lock === 'busy' ? SQLITE_BUSY : SQLITE_BUSY_SNAPSHOT;
  }

  #write(connection: SimConnection, rows: readonly number[]): string {
    const changes = new Map(rows.map((row) => [row, new Uint8Array(PAGE_BYTES)]));
    finish(connection.commit(changes, ROWS, { sync: true, padded: this.#isPadded }));
    connection.endWrite();
    return 'done';
  }

  #tear(connection: SimConnection, rows: readonly number[]): string {
    const { index } = this.#database;
    const before = index.first;
    const answer = this.#commit(connection, rows);
    if (answer === 'done') index.storeFirst(before);
    return answer;
  }

  log(): Uint8Array | undefined {
    const { wal } = this.#database;
    return wal?.content.slice(0, wal.sizeBytes);
  }

  index(): Uint8Array | undefined {
    if (this.#database.connectionCount === 0) return undefined;
    return this.#database.index.inode.content.slice(0, WAL_INDEX_BYTES);
  }

  close(): void {
    this.#process.kill();
  }
}

function finish<Result>(steps: Steps<Result>): Result {
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
    if (step.do === 'upgrade') {
      if (now !== 'read') continue;
      inside.delete(step.by);
      yield step;
    } else if (step.do === 'end' || step.do === 'unlock') {
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
