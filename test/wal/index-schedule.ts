/**
 * Random uses of one real database by several processes, and what the head of its WAL index has to say after each of them.
 * The index is read through one descriptor, opened after the first connection and closed after the last one.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { frameBytes, frameCommit, scanFrames, startChain, viewOf } from '../../src/wal/frames.ts';
import { parseWalHeader, WAL_HEADER_BYTES, type WalHeader } from '../../src/wal/wal-header.ts';
import {
  readWalIndex,
  WAL_INDEX_BYTES,
  type WalIndex,
  type WalIndexReading,
} from '../../src/wal/wal-index.ts';

const MODES = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;

type RowStep = 'commit' | 'large' | 'roll back' | 'spill and roll back';
type PlainStep = 'read' | 'end' | 'nothing' | 'vacuum' | 'reopen' | 'restart';

export type Step =
  | { [Name in RowStep]: { readonly do: Name; readonly rows: number } }[RowStep]
  | { readonly do: 'savepoint'; readonly rows: number; readonly keeps: boolean }
  | { readonly do: 'checkpoint'; readonly mode: (typeof MODES)[number]; readonly times: number }
  | { readonly do: 'limit'; readonly bytes: number }
  | { readonly do: 'automatic'; readonly frames: number }
  | { [Name in PlainStep]: { readonly do: Name } }[PlainStep];

/** The same, done by a process of its own that dies at the end of it. */
export type DeadlyStep =
  | { readonly do: 'kill'; readonly commits: number }
  | { readonly do: 'kill between copies'; readonly commits: number };

const rows = fc.integer({ min: 1, max: 4 });
const plain = (...names: PlainStep[]): fc.Arbitrary<Step> =>
  fc.constantFrom(...names).map((name): Step => ({ do: name }));

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('commit' as const), rows }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('large' as const), rows }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('roll back' as const, 'spill and roll back' as const), rows }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('savepoint' as const), rows, keeps: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('checkpoint' as const),
      mode: fc.constantFrom(...MODES),
      times: fc.constantFrom(1, 1, 2),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0, 10_000).map((bytes): Step => ({ do: 'limit', bytes })) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 5).map((frames): Step => ({ do: 'automatic', frames })) },
  { weight: 3, arbitrary: plain('read', 'end', 'nothing') },
  {
    weight: 2,
    arbitrary: plain('vacuum', 'reopen', 'restart'),
  },
);

export const deadlyStep: fc.Arbitrary<DeadlyStep> = fc.record({
  do: fc.constantFrom('kill' as const, 'kill between copies' as const),
  commits: fc.integer({ min: 1, max: 3 }),
});

/** Pages of a connection that spills: a transaction of more than that writes to the WAL before it commits. */
const CACHE_PAGES = 5;

/** What `PRAGMA wal_checkpoint` answers. */
interface Answer {
  readonly log: number;
  readonly checkpointed: number;
}

export class IndexedDatabase implements Disposable {
  readonly path: string;
  readonly pageSizeBytes: number;
  #writer!: DatabaseSync;
  #reader!: DatabaseSync;
  #shm!: number;
  #isReading = false;
  /** What the index must say of the number of commits. */
  #change = 0;

  constructor(path: string, pageSizeBytes: number) {
    this.path = path;
    this.pageSizeBytes = pageSizeBytes;
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA page_size = ${pageSizeBytes}; PRAGMA journal_mode = WAL`);
    database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, filler BLOB)');
    database.exec('INSERT INTO t (n) VALUES (0), (0)');
    database.close();
    this.#open();
  }

  #open(): void {
    this.#writer = this.#connect();
    this.#reader = new DatabaseSync(this.path, { timeout: 0, readOnly: true });
    this.#reader.prepare('SELECT count(*) FROM t').get();
    this.#shm = openSync(`${this.path}-shm`, 'r');
    // The first to open recovers, and a recovery counts from 0.
    this.#change = 0;
    this.#last = undefined;
    this.#isReading = false;
  }

  #connect(): DatabaseSync {
    const database = new DatabaseSync(this.path, { timeout: 0 });
    database.exec(`PRAGMA cache_size = ${CACHE_PAGES}; PRAGMA synchronous = OFF`);
    database.exec('PRAGMA wal_autocheckpoint = 0; SELECT count(*) FROM t');
    return database;
  }

  /** Does it, and compares the index with everything else that can be known. */
  perform(one: Step | DeadlyStep): void {
    const answer = this.#do(one);
    const reading = this.read();
    assert.equal(reading.kind, 'index', JSON.stringify(reading));
    const { index } = reading;
    assert.equal(index.change, this.#change, 'change');
    this.#compareWithWal(index);
    this.#compareWithFile(index);
    if (answer !== undefined && answer.log > 0)
      assert.deepEqual([index.frames, index.backfilledFrames], [answer.log, answer.checkpointed]);
  }

  read(): WalIndexReading {
    const bytes = new Uint8Array(WAL_INDEX_BYTES);
    return readWalIndex(bytes.subarray(0, readSync(this.#shm, bytes, 0, WAL_INDEX_BYTES, 0)));
  }

  #do(one: Step | DeadlyStep): Answer | undefined {
    if (one.do === 'kill' || one.do === 'kill between copies') this.#kill(one);
    else if (one.do === 'checkpoint') return this.#checkpoint(one.mode, one.times);
    else if (one.do === 'restart') this.#restart();
    else if (one.do === 'reopen') {
      this.#writer.close();
      this.#writer = this.#connect();
    } else if (one.do === 'read') {
      if (!this.#isReading) this.#reader.exec('BEGIN; SELECT count(*) FROM t');
      this.#isReading = true;
    } else if (one.do === 'end') this.#endRead();
    else {
      const { sql, commits } = statementsOf(one, this.pageSizeBytes);
      this.#writer.exec(sql);
      this.#change += commits;
    }
    return undefined;
  }

  #restart(): void {
    this.#close();
    assert.ok(!existsSync(`${this.path}-shm`), 'the last to close removes the index');
    this.#open();
  }

  #checkpoint(mode: string, times: number): Answer {
    let row: Record<string, unknown> | undefined;
    for (let n = 0; n < times; n++) row = this.#writer.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
    return { log: Number(row?.['log']), checkpointed: Number(row?.['checkpointed']) };
  }

  #endRead(): void {
    if (this.#isReading) this.#reader.exec('ROLLBACK');
    this.#isReading = false;
  }

  #kill({ do: kind, commits }: DeadlyStep): void {
    const script = fileURLToPath(new URL('../support/commit-and-die.ts', import.meta.url));
    const isTorn = kind === 'kill between copies';
    const { signal, stderr } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', script, this.path, String(commits), String(isTorn)],
      { encoding: 'utf8', timeout: 60_000 },
    );
    assert.equal(signal, 'SIGKILL', stderr);
    if (!isTorn) {
      this.#change += commits;
      return;
    }
    assert.deepEqual(this.read(), { kind: 'torn' });
    // The next to begin a transaction recovers what was committed, and counts anew.
    this.#writer.prepare('SELECT count(*) FROM t').get();
    this.#change = 0;
    // The very number that was there before may come again for a commit more.
    this.#last = undefined;
  }

  /** The frames that count are whole, in one chain, and end with a commit; its size is that of the database. */
  #compareWithWal(index: WalIndex): void {
    const log = readFileSync(`${this.path}-wal`);
    assert.ok(index.backfilledFrames <= index.frames);
    if (index.frames === 0) return;
    assert.equal(index.pageSizeBytes, this.pageSizeBytes);
    const header = parseWalHeader(log);
    assert.deepEqual(
      [index.salt1, index.salt2, index.bigEndianChecksum],
      [header.salt1, header.salt2, header.bigEndianChecksum],
    );
    const end = WAL_HEADER_BYTES + index.frames * frameBytes(this.pageSizeBytes);
    const scan = scanFrames(startChain(header), log, WAL_HEADER_BYTES, end);
    assert.equal(WAL_HEADER_BYTES + scan.committedBytes, end);
    assert.deepEqual(scan.committedChain.checksum, index.frameChecksum);
    assert.equal(scan.commitPageCount, index.pageCount);
    this.#compareWithLast(index, header, commitsIn(log, end, this.pageSizeBytes));
  }

  #last: { readonly salts: string; readonly change: number; readonly commits: number } | undefined;

  /** In one WAL, and from one WAL to the next, each commit frame is one more in `change`. */
  #compareWithLast({ change }: WalIndex, { salt1, salt2 }: WalHeader, commits: number): void {
    const salts = `${salt1} ${salt2}`;
    const last = this.#last;
    this.#last = { salts, change, commits };
    if (last === undefined) return;
    // The frames of an older WAL were all seen: what this one has was committed after them.
    const before = last.salts === salts ? last.commits : 0;
    assert.equal(change - last.change, commits - before, 'commit frames');
  }

  #compareWithFile(index: WalIndex): void {
    const pages = statSync(this.path).size / this.pageSizeBytes;
    if (index.frames > 0 && index.backfilledFrames < index.frames) return;
    // A recovery of an empty WAL does not know it.
    if (index.frames > 0 || index.pageCount > 0) assert.equal(pages, index.pageCount);
    else assert.equal(index.change, 0);
  }

  #close(): void {
    this.#endRead();
    this.#reader.close();
    this.#writer.close();
    closeSync(this.#shm);
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

/** What a connection executes for a step, and how many transactions with changes that commits. */
function statementsOf(
  one: Exclude<Step, { do: 'checkpoint' | 'read' | 'end' | 'reopen' | 'restart' }>,
  pageSizeBytes: number,
): { readonly sql: string; readonly commits: number } {
  if (one.do === 'nothing')
    return { sql: 'BEGIN IMMEDIATE; COMMIT; UPDATE t SET n = n WHERE id < 0', commits: 0 };
  if (one.do === 'vacuum') return { sql: 'VACUUM', commits: 1 };
  if (one.do === 'limit') return { sql: `PRAGMA journal_size_limit = ${one.bytes}`, commits: 0 };
  if (one.do === 'automatic') return { sql: `PRAGMA wal_autocheckpoint = ${one.frames}`, commits: 0 };
  const some = `UPDATE t SET n = n + 1, filler = randomblob(${pageSizeBytes}) WHERE id <= ${one.rows}`;
  const spilling = grow(one.rows + 3 * CACHE_PAGES, pageSizeBytes);
  if (one.do === 'commit') return { sql: some, commits: 1 };
  if (one.do === 'large') return { sql: spilling, commits: 1 };
  if (one.do === 'roll back') return { sql: `BEGIN; ${some}; ROLLBACK`, commits: 0 };
  if (one.do === 'spill and roll back') return { sql: `BEGIN; ${spilling}; ROLLBACK`, commits: 0 };
  const end = one.keeps ? 'COMMIT' : 'ROLLBACK';
  return {
    sql: `BEGIN; ${some}; SAVEPOINT s; ${spilling}; ROLLBACK TO s; ${end}`,
    commits: Number(one.keeps),
  };
}

function grow(rowCount: number, pageSizeBytes: number): string {
  const numbers = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${rowCount})`;
  return `${numbers} INSERT INTO t (n, filler) SELECT i, randomblob(${pageSizeBytes}) FROM c`;
}

function commitsIn(log: Uint8Array, end: number, pageSizeBytes: number): number {
  const view = viewOf(log);
  let commits = 0;
  for (let at = WAL_HEADER_BYTES; at < end; at += frameBytes(pageSizeBytes))
    if (frameCommit(view, at) > 0) commits++;
  return commits;
}
