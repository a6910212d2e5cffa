/**
 * SQLite's write-ahead log as other processes see it: the files byte for byte, the index in shared memory, the locks, and who
 * may do what when (sqlite.org/walformat.html, sqlite.org/wal.html). No SQL: a transaction is a set of pages.
 *
 * Whatever takes several writes is a generator that yields between them, so that anybody may come in between, or the
 * process may die there.
 */
import type { Random } from '../../faults/random.ts';
import {
  type Chain,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  frameBytes,
  framePage,
  scanFrames,
  startChain,
  viewOf,
  walBytes,
} from '../../../src/wal/frames.ts';
import { encodeWalHeader, parseWalHeader, WAL_HEADER_BYTES } from '../../../src/wal/wal-header.ts';
import type { Disk, Inode } from './disk.ts';
import type { SimProcess } from './process.ts';

export const PAGE_BYTES = 512;

/** A step was done; somebody else may go on. */
export type Steps<Result> = Generator<void, Result, void>;

export type CheckpointMode = 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE';

export interface CheckpointOutcome {
  readonly busy: boolean;
  readonly logFrames: number;
  readonly checkpointedFrames: number;
}

/** The index of the log in shared memory. */
interface LogIndex {
  /** Frames that are committed for every reader. */
  frames: number;
  pageCount: number;
  salts: readonly [number, number];
  /** Behind the last committed frame; undefined before the log has a header. */
  chain: Chain | undefined;
  backfilled: number;
  /** The page of each frame, from the first. */
  pages: number[];
}

type ReadMark = { readonly frames: number } | 'file';

export class SimDatabase {
  readonly path: string;
  readonly walPath: string;
  readonly #disk: Disk;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #connections = new Set<SimConnection>();
  #index: LogIndex | undefined;
  /** The files of a database that somebody has removed or replaced; who has it open goes on with them. */
  #orphaned: { readonly file: Inode; readonly wal: Inode | undefined } | undefined;
  writer: SimConnection | undefined;
  checkpointer: SimConnection | undefined;
  /** A checkpoint writes into the file at this moment: no reader may begin on the file alone. */
  isBackfilling = false;
  /** Told of each transaction at the moment at which every reader sees it. */
  onCommit: (pages: ReadonlyMap<number, Uint8Array>, pageCount: number) => void = () => undefined;
  /** Told after the first to open has read the log: a commit frame that nobody had published counts from now on. */
  onRecovery: (firstPage: Uint8Array) => void = () => undefined;

  constructor(path: string, disk: Disk, random: Random, nowMs: () => number) {
    this.path = path;
    this.walPath = `${path}-wal`;
    this.#disk = disk;
    this.#random = random;
    this.#nowMs = nowMs;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Makes the database file with its first pages, all of it safe on disk. */
  create(pages: readonly Uint8Array[]): void {
    const inode = this.#disk.make(this.path);
    for (const [at, page] of pages.entries()) inode.write(at * PAGE_BYTES, page, this.#nowMs());
    inode.sync();
    this.#disk.syncDirectory(directoryOf(this.path));
  }

  /** Somebody takes its names away. Whoever opens the path from now on opens another database. */
  orphan(): void {
    this.#orphaned = { file: this.file, wal: this.wal };
    for (const path of [this.path, this.walPath]) this.#disk.remove(path);
    this.#disk.syncDirectory(directoryOf(this.path));
  }

  get file(): Inode {
    if (this.#orphaned !== undefined) return this.#orphaned.file;
    const inode = this.#disk.lookUp(this.path);
    if (inode === undefined) throw new Error(`${this.path} is not there`);
    return inode;
  }

  get wal(): Inode | undefined {
    if (this.#orphaned !== undefined) return this.#orphaned.wal;
    return this.#disk.lookUp(this.walPath);
  }

  open(process: SimProcess, readOnly = false): SimConnection {
    const connection = new SimConnection(this, process, readOnly);
    const isFirst = this.#connections.size === 0;
    if (isFirst) this.#recover(connection);
    if (this.wal === undefined) this.#disk.make(this.walPath);
    this.#connections.add(connection);
    process.onDeath(() => this.#gone(connection));
    if (isFirst) this.onRecovery(this.image()[0] as Uint8Array);
    return connection;
  }

  get index(): LogIndex {
    if (this.#index === undefined) throw new Error('nobody has the database open');
    return this.#index;
  }

  randomSalt(): number {
    return Math.floor(this.#random.next() * 0x1_0000_0000);
  }

  get nowMs(): number {
    return this.#nowMs();
  }

  others(than: SimConnection | undefined): SimConnection[] {
    return [...this.#connections].filter((connection) => connection !== than);
  }

  /** The last connection that can write checkpoints all and removes the log; others just go. */
  close(connection: SimConnection): void {
    if (!this.#connections.has(connection)) return;
    if (this.#connections.size === 1 && !connection.readOnly) {
      for (const _ of connection.checkpoint('PASSIVE')) continue;
      const isOver = this.index.backfilled === this.index.frames;
      if (isOver && this.#orphaned === undefined) this.#disk.remove(this.walPath);
    }
    this.#gone(connection);
  }

  #gone(connection: SimConnection): void {
    this.#connections.delete(connection);
    if (this.writer === connection) this.writer = undefined;
    if (this.checkpointer === connection) {
      this.checkpointer = undefined;
      this.isBackfilling = false;
    }
    if (this.#connections.size === 0) this.#index = undefined;
  }

  /** The first to open reads the log from its start to the last commit that checks out. */
  #recover(connection: SimConnection): void {
    const bytes = this.wal?.content.slice(0, this.wal.sizeBytes) ?? new Uint8Array(0);
    const pageCount = Math.floor(this.file.sizeBytes / PAGE_BYTES);
    this.#index = { frames: 0, pageCount, salts: [0, 0], chain: undefined, backfilled: 0, pages: [] };
    const header = headerOf(bytes);
    if (header === undefined) return;
    const scan = scanFrames(startChain(header), bytes, WAL_HEADER_BYTES);
    connection.checkpointSequence = header.checkpointSequence;
    const frames = scan.committedBytes / frameBytes(PAGE_BYTES);
    const view = viewOf(bytes);
    this.#index = {
      frames,
      pageCount: frames === 0 ? pageCount : scan.commitPageCount,
      salts: [header.salt1, header.salt2],
      chain: scan.committedChain,
      backfilled: 0,
      pages: Array.from({ length: frames }, (_, i) => framePage(view, walBytes(i, PAGE_BYTES))),
    };
  }

  /** What a reader that begins now sees. */
  image(): Uint8Array[] {
    const { frames, pages, pageCount } = this.index;
    const image = Array.from({ length: pageCount }, (_, i) => pageOf(this.file, i * PAGE_BYTES));
    const wal = this.wal;
    for (let frame = 0; frame < frames; frame++) {
      const page = pages[frame] as number;
      if (page <= pageCount && wal !== undefined)
        image[page - 1] = pageOf(wal, walBytes(frame, PAGE_BYTES) + FRAME_HEADER_BYTES);
    }
    return image;
  }

  /** The first sync of a new file makes its name safe too. */
  syncLog(): void {
    this.wal?.sync();
    this.#disk.syncDirectory(directoryOf(this.path));
  }

  truncateLog(): void {
    this.wal?.truncate(0, this.nowMs);
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function headerOf(bytes: Uint8Array) {
  try {
    return parseWalHeader(bytes);
  } catch {
    return undefined;
  }
}

function pageOf(inode: Inode, offset: number): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  inode.read(page, 0, PAGE_BYTES, offset);
  return page;
}

export class SimConnection {
  readonly #database: SimDatabase;
  readonly #process: SimProcess;
  readonly readOnly: boolean;
  /** How often this connection restarted the log; one that never did draws new random salts for a new log. */
  checkpointSequence = 0;
  #mark: ReadMark | undefined;

  constructor(database: SimDatabase, process: SimProcess, readOnly: boolean) {
    this.#database = database;
    this.#process = process;
    this.readOnly = readOnly;
  }

  get mark(): ReadMark | undefined {
    return this.#mark;
  }

  get isOpen(): boolean {
    return !this.#process.isDead && this.#database.others(undefined).includes(this);
  }

  /** Begins a read transaction. On a log that is wholly in the file it does not pin the log. */
  beginRead(useLog = false): void {
    if (this.#mark !== undefined) throw new Error('a read transaction is open already');
    const { frames, backfilled } = this.#database.index;
    const fileAlone = !useLog && backfilled === frames && !this.#database.isBackfilling;
    this.#mark = fileAlone ? 'file' : { frames };
  }

  endRead(): void {
    this.#mark = undefined;
  }

  /** BEGIN IMMEDIATE. Answers false when another connection writes. */
  tryBeginWrite(): boolean {
    if (this.#database.writer !== undefined) return false;
    if (this.#mark === undefined) this.beginRead();
    this.#database.writer = this;
    return true;
  }

  endWrite(): void {
    if (this.#database.writer === this) this.#database.writer = undefined;
    this.endRead();
  }

  /** Writes one transaction behind the committed frames and publishes it. The write lock must be held. */
  *commit(
    changes: ReadonlyMap<number, Uint8Array>,
    pageCount: number,
    options: { readonly sync: boolean },
  ): Steps<void> {
    this.#restartLogIfPossible();
    yield;
    const { index } = this.#database;
    let chain = index.frames === 0 ? yield* this.#writeHeader() : (index.chain as Chain);
    const numbers = [...changes.keys()];
    for (const [i, page] of numbers.entries()) {
      const isLast = i === numbers.length - 1;
      const frame = new Uint8Array(frameBytes(PAGE_BYTES));
      frame.set(changes.get(page) as Uint8Array, FRAME_HEADER_BYTES);
      const at = chain.offsetBytes;
      chain = encodeFrameHeader(chain, frame, 0, {
        pageNumber: page,
        commitPageCount: isLast ? pageCount : 0,
      });
      // SQLite writes a frame's header and its page one after the other.
      this.#wal.write(at, frame.subarray(0, FRAME_HEADER_BYTES), this.#database.nowMs);
      yield;
      this.#wal.write(at + FRAME_HEADER_BYTES, frame.subarray(FRAME_HEADER_BYTES), this.#database.nowMs);
      yield;
    }
    if (options.sync) {
      this.#database.syncLog();
      yield;
    }
    index.pages.length = index.frames;
    index.pages.push(...numbers);
    index.frames += numbers.length;
    index.pageCount = pageCount;
    index.chain = chain;
    this.#database.onCommit(changes, pageCount);
  }

  get #wal(): Inode {
    const wal = this.#database.wal;
    if (wal === undefined) throw new Error('the log was removed under a connection');
    return wal;
  }

  /** The first write on a log that is wholly in the file begins it anew, if nobody reads from it. */
  #restartLogIfPossible(): void {
    if (this.#mark !== 'file') return;
    const { index } = this.#database;
    const isRead = this.#database.others(this).some(({ mark }) => mark !== undefined && mark !== 'file');
    if (index.backfilled > 0 && !isRead) this.restartIndex();
    this.endRead();
    this.beginRead(true);
  }

  restartIndex(): void {
    const { index } = this.#database;
    this.checkpointSequence++;
    index.frames = 0;
    index.backfilled = 0;
    index.pages = [];
    index.chain = undefined;
    index.salts = [(index.salts[0] + 1) >>> 0, this.#database.randomSalt()];
  }

  *#writeHeader(): Steps<Chain> {
    const { index } = this.#database;
    if (this.checkpointSequence === 0)
      index.salts = [this.#database.randomSalt(), this.#database.randomSalt()];
    const bytes = encodeWalHeader({
      bigEndianChecksum: false,
      pageSizeBytes: PAGE_BYTES,
      checkpointSequence: this.checkpointSequence,
      salt1: index.salts[0],
      salt2: index.salts[1],
    });
    this.#wal.write(0, bytes, this.#database.nowMs);
    yield;
    // Without it a power cut could bring frames of the old log back to life.
    this.#database.syncLog();
    yield;
    return startChain(parseWalHeader(bytes));
  }

  /** `PRAGMA wal_checkpoint(MODE)`. A killed one leaves the file half written, which the log makes good. */
  *checkpoint(mode: CheckpointMode): Steps<CheckpointOutcome> {
    const database = this.#database;
    if (database.checkpointer !== undefined) return { busy: true, logFrames: -1, checkpointedFrames: -1 };
    database.checkpointer = this;
    let ownsWriteLock = false;
    try {
      if (mode !== 'PASSIVE' && database.writer === undefined) {
        database.writer = this;
        ownsWriteLock = true;
      }
      yield* this.#backfill();
      const { frames, backfilled } = database.index;
      const isWhole = backfilled === frames;
      const couldRestart = mode === 'PASSIVE' || (isWhole && ownsWriteLock && this.#restartAfter(mode));
      if (couldRestart && mode === 'TRUNCATE') return { busy: false, logFrames: 0, checkpointedFrames: 0 };
      return { busy: !couldRestart, logFrames: frames, checkpointedFrames: backfilled };
    } finally {
      if (ownsWriteLock && database.writer === this) database.writer = undefined;
      if (database.checkpointer === this) database.checkpointer = undefined;
      database.isBackfilling = false;
    }
  }

  *#backfill(): Steps<void> {
    const database = this.#database;
    const { index, file } = database;
    const readers = database.others(undefined).map(({ mark }) => mark);
    let safe = index.frames;
    for (const mark of readers) if (mark !== undefined && mark !== 'file') safe = Math.min(safe, mark.frames);
    if (index.backfilled >= safe || readers.includes('file')) return;
    database.isBackfilling = true;
    database.syncLog();
    yield;
    const isWhole = safe === index.frames;
    const { pageCount } = index;
    const newest = new Map<number, number>();
    for (let frame = index.backfilled; frame < safe; frame++) newest.set(index.pages[frame] as number, frame);
    for (const [page, frame] of [...newest].sort(([a], [b]) => a - b)) {
      if (page > pageCount) continue;
      const content = pageOf(this.#wal, walBytes(frame, PAGE_BYTES) + FRAME_HEADER_BYTES);
      file.write((page - 1) * PAGE_BYTES, content, database.nowMs);
      yield;
    }
    if (isWhole && safe === index.frames) file.truncate(pageCount * PAGE_BYTES, database.nowMs);
    file.sync();
    yield;
    index.backfilled = safe;
    database.isBackfilling = false;
  }

  #restartAfter(mode: CheckpointMode): boolean {
    if (mode === 'FULL') return true;
    const database = this.#database;
    if (database.others(this).some(({ mark }) => mark !== undefined && mark !== 'file')) return false;
    if (mode === 'TRUNCATE') {
      this.restartIndex();
      database.truncateLog();
    }
    return true;
  }

  close(): void {
    this.endWrite();
    this.#database.close(this);
  }
}
