/**
 * SQLite's write-ahead log as other processes see it: the files byte for byte, the index in shared memory, the locks, and who
 * may do what when (sqlite.org/walformat.html, sqlite.org/wal.html). No SQL: a transaction is a set of pages.
 *
 * Whatever takes several steps is a generator that yields between them, so that anybody may come in between, or the
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
import { EMPTY_HEADER, type IndexHeader, READ_SLOTS, SharedIndex } from './shared-index.ts';

export const PAGE_BYTES = 512;
/** Without powersafe overwrite a commit is padded to sectors of this size. */
const SECTOR_BYTES = 8_192;
/** So often SQLite tries to begin a read transaction before it gives up (SQLITE_PROTOCOL). */
const READ_ATTEMPTS = 100;

/** A step was done; somebody else may go on. With `waits` nothing goes on before somebody else has. */
export type Steps<Result> = Generator<'waits' | undefined, Result, void>;

export type CheckpointMode = 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE';

export interface CheckpointOutcome {
  readonly busy: boolean;
  readonly logFrames: number;
  readonly checkpointedFrames: number;
}

export interface CommitOptions {
  /** `synchronous=FULL`: sync the WAL after the commit. */
  readonly sync: boolean;
  /** `psow=0`: a synced commit repeats its commit frame up to the end of the sector. */
  readonly padded?: boolean;
}

/** Where a writer can die: its commit is in the WAL, and no reader or every recovery knows of it. */
export type PublishingPhase = 'before the header' | 'between the copies';

/** What became of an attempt to write: `stale` is SQLITE_BUSY_SNAPSHOT. */
export type WriteLock = 'done' | 'busy' | 'stale';

export class SimDatabase {
  readonly path: string;
  readonly walPath: string;
  readonly shmPath: string;
  readonly #disk: Disk;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #connections = new Set<SimConnection>();
  #index: SharedIndex | undefined;
  /** The files of a database that somebody has removed or replaced; who has it open goes on with them. */
  #orphaned: { readonly file: Inode; readonly wal: Inode | undefined } | undefined;
  /** Told of each transaction at the moment at which every reader sees it. */
  onCommit: (pages: ReadonlyMap<number, Uint8Array>, pageCount: number) => void = () => undefined;
  /** Told when a commit is in the WAL and not published, and again between the two copies of the header. */
  onPublishing: (process: SimProcess, phase: PublishingPhase) => void = () => undefined;
  /** Told after somebody has read the WAL anew: a commit frame that nobody had published counts from now on. */
  onRecovery: (firstPage: Uint8Array) => void = () => undefined;

  constructor(path: string, disk: Disk, random: Random, nowMs: () => number) {
    this.path = path;
    this.walPath = `${path}-wal`;
    this.shmPath = `${path}-shm`;
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
    for (const path of [this.path, this.walPath, this.shmPath]) this.#disk.remove(path);
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

  /** Opens a connection and looks into the database: the first one recovers the WAL. */
  open(process: SimProcess, readOnly = false): SimConnection {
    const { file } = this;
    const isFirst = this.#connections.size === 0;
    // Others may have the file of a database that everybody else has left: it keeps its inode, and is emptied.
    this.#index ??= new SharedIndex(this.#disk.lookUp(this.shmPath) ?? this.#disk.make(this.shmPath));
    const { inode } = this.#index;
    const connection = new SimConnection(this, process, readOnly);
    if (this.wal === undefined) this.#disk.make(this.walPath);
    this.#connections.add(connection);
    for (const locked of [file, inode]) process.locks(locked);
    process.onDeath(() => this.#gone(connection));
    connection.onClose = () => {
      for (const locked of [file, inode]) process.unlocks(locked);
    };
    if (isFirst) connection.recoverFirst();
    return connection;
  }

  get index(): SharedIndex {
    if (this.#index === undefined) throw new Error('nobody has the database open');
    return this.#index;
  }

  /** The header that readers see. */
  get published(): IndexHeader {
    return this.index.first;
  }

  randomSalt(): number {
    return Math.floor(this.#random.next() * 0x1_0000_0000);
  }

  get nowMs(): number {
    return this.#nowMs();
  }

  has(connection: SimConnection): boolean {
    return this.#connections.has(connection);
  }

  /** The last connection that can write checkpoints all and removes WAL and index; others just go. */
  close(connection: SimConnection): void {
    if (!this.#connections.has(connection)) return;
    const isLast = this.#connections.size === 1 && !connection.readOnly;
    if (isLast) {
      for (const _ of connection.checkpoint('PASSIVE')) if (!this.#connections.has(connection)) return;
      if (this.#orphaned === undefined) {
        this.#disk.remove(this.walPath);
        this.#disk.remove(this.shmPath);
      }
    }
    connection.onClose();
    this.#gone(connection);
  }

  #gone(connection: SimConnection): void {
    if (!this.#connections.delete(connection)) return;
    this.#index?.release(connection);
    if (this.#connections.size === 0) this.#index = undefined;
  }

  /** Reads the WAL from its start to the last commit that checks out. */
  scan(): { readonly header: IndexHeader; readonly pages: number[]; readonly sequence?: number } {
    const bytes = this.wal?.content.slice(0, this.wal.sizeBytes) ?? new Uint8Array(0);
    // A header without anything behind it is not looked at.
    const walHeader = bytes.length > WAL_HEADER_BYTES ? headerOf(bytes) : undefined;
    if (walHeader === undefined) return { header: EMPTY_HEADER, pages: [] };
    const scan = scanFrames(startChain(walHeader), bytes, WAL_HEADER_BYTES);
    const frames = scan.committedBytes / frameBytes(PAGE_BYTES);
    const view = viewOf(bytes);
    const header: IndexHeader = {
      change: 0,
      frames,
      pageCount: frames === 0 ? 0 : scan.commitPageCount,
      pageSizeBytes: PAGE_BYTES,
      salts: [walHeader.salt1, walHeader.salt2],
      checksum: frames === 0 ? EMPTY_HEADER.checksum : scan.committedChain.checksum,
      chain: scan.committedChain,
    };
    return {
      header,
      pages: Array.from({ length: frames }, (_, i) => framePage(view, walBytes(i, PAGE_BYTES))),
      sequence: walHeader.checkpointSequence,
    };
  }

  /** Pages of the database as a reader with this header sees it. */
  pageCountOf({ pageCount }: IndexHeader): number {
    return pageCount || Math.floor(this.file.sizeBytes / PAGE_BYTES);
  }

  /** What a reader that begins now sees. */
  image(): Uint8Array[] {
    const header = this.published;
    const pageCount = this.pageCountOf(header);
    const image = Array.from({ length: pageCount }, (_, i) => pageOf(this.file, i * PAGE_BYTES));
    const wal = this.wal;
    for (let frame = 0; frame < header.frames; frame++) {
      const page = this.index.pages[frame] as number;
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
  onClose: () => void = () => undefined;
  #isOpening = false;
  /** The group of readers that the open read transaction belongs to: 0 is those of the database file alone. */
  #slot: number | undefined;
  /** The header as this connection has read it. */
  #header: IndexHeader = EMPTY_HEADER;

  constructor(database: SimDatabase, process: SimProcess, readOnly: boolean) {
    this.#database = database;
    this.#process = process;
    this.readOnly = readOnly;
  }

  get isReading(): boolean {
    return this.#slot !== undefined;
  }

  get isOpen(): boolean {
    return !this.#process.isDead && this.#database.has(this);
  }

  get #index(): SharedIndex {
    return this.#database.index;
  }

  // ---- reading -----------------------------------------------------------------------------------------------------

  /** Begins a read transaction. False when the index could not be read for long: a writer stands still in the middle. */
  *beginRead(): Steps<boolean> {
    if (this.#slot !== undefined) throw new Error('a read transaction is open already');
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      if ((yield* this.#readHeader()) && (yield* this.#tryBeginRead(false))) return true;
      yield 'waits';
    }
    return false;
  }

  /** On a WAL that is wholly in the database file a reader needs the file alone, and writers may restart the WAL. */
  *#tryBeginRead(usesWal: boolean): Steps<boolean> {
    const index = this.#index;
    const header = this.#header;
    yield;
    if (!usesWal && index.backfilled === header.frames && index.tryShare(0, this))
      return this.#readsFrom(0, index.isSame(header));
    const { frames } = header;
    let best = 0;
    for (let slot = 1; slot < READ_SLOTS; slot++) {
      const mark = index.mark(slot);
      if (mark <= frames && (best === 0 || index.mark(best) <= mark)) best = slot;
    }
    if (best === 0 || index.mark(best) < frames) {
      for (let slot = 1; slot < READ_SLOTS; slot++) {
        if (!index.tryOwn(slot, slot + 1, this)) continue;
        index.setMark(slot, frames);
        index.disown(slot, slot + 1);
        best = slot;
        break;
      }
    }
    if (best === 0) return false;
    const mark = index.mark(best);
    yield;
    if (!index.tryShare(best, this)) return false;
    return this.#readsFrom(best, index.mark(best) === mark && index.isSame(header));
  }

  #readsFrom(slot: number, isStill: boolean): boolean {
    if (isStill) this.#slot = slot;
    else this.#index.endRead(this);
    return isStill;
  }

  endRead(): void {
    this.#slot = undefined;
    // The database may be gone already, with the last that had it open.
    if (this.isOpen) this.#index.endRead(this);
  }

  /** Answers false when the header is torn and somebody writes: it is about to become whole. */
  *#readHeader(): Steps<boolean> {
    const index = this.#index;
    const { header } = index;
    if (header !== undefined) {
      this.#header = header;
      return true;
    }
    if (index.writer !== undefined && index.writer !== this) return false;
    const ownedBefore = index.writer === this;
    index.writer = this;
    try {
      return yield* this.#recover();
    } finally {
      if (!ownedBefore && index.writer === this) index.writer = undefined;
    }
  }

  /** Frames that are committed for every reader; undefined while nobody can tell. What `PRAGMA wal_checkpoint(NOOP)` does. */
  *readPublished(): Steps<number | undefined> {
    return (yield* this.#readHeader()) ? this.#header.frames : undefined;
  }

  /** With the write lock: makes the index again from what is in the WAL. */
  *#recover(): Steps<boolean> {
    const index = this.#index;
    if (index.checkpointer !== undefined && index.checkpointer !== this) return false;
    const ownedBefore = index.checkpointer === this;
    index.checkpointer = this;
    let isLastFree = true;
    try {
      const { header, pages, sequence } = this.#database.scan();
      this.checkpointSequence = sequence ?? this.checkpointSequence;
      index.pages.length = 0;
      index.pages.push(...pages);
      this.#header = header;
      yield;
      yield* this.#publish(header);
      index.backfilled = 0;
      index.setMark(0, 0);
      for (let slot = 1; slot < READ_SLOTS; slot++) {
        isLastFree = index.tryOwn(slot, slot + 1, this);
        if (!isLastFree) continue;
        index.setMark(slot, slot === 1 && header.frames > 0 ? header.frames : 'not used');
        index.disown(slot, slot + 1);
      }
    } finally {
      if (!ownedBefore && index.checkpointer === this) index.checkpointer = undefined;
    }
    this.#database.onRecovery(this.#database.image()[0] as Uint8Array);
    // Where the last mark is in use, SQLite says that it was busy although all is done.
    return isLastFree;
  }

  /** The first to open; nobody can come in between. */
  recoverFirst(): void {
    this.#isOpening = true;
    const steps = this.#readHeader();
    while (steps.next().done !== true) continue;
    this.#isOpening = false;
  }

  *#publish(header: IndexHeader): Steps<void> {
    this.#header = header;
    this.#index.storeSecond(header);
    if (!this.#isOpening) this.#database.onPublishing(this.#process, 'between the copies');
    yield;
    this.#index.storeFirst(header);
  }

  // ---- writing -----------------------------------------------------------------------------------------------------

  /** BEGIN IMMEDIATE, once. Nothing is open when it was busy. */
  *beginWrite(): Steps<boolean> {
    if (!(yield* this.beginRead())) return false;
    if (this.upgrade() === 'done') return true;
    this.endRead();
    return false;
  }

  /** The first write in a read transaction; no busy handler is asked. */
  upgrade(): WriteLock {
    const index = this.#index;
    if (index.writer !== undefined) return 'busy';
    if (!index.isSame(this.#header)) return 'stale';
    index.writer = this;
    return 'done';
  }

  endWrite(): void {
    if (this.isOpen && this.#index.writer === this) this.#index.writer = undefined;
    this.endRead();
  }

  /** Writes frames of a transaction that is rolled back: one that outgrew its cache. They stay behind the end of the WAL. */
  *spill(changes: ReadonlyMap<number, Uint8Array>): Steps<void> {
    let chain = yield* this.#beginFrames();
    for (const [page, content] of changes) chain = yield* this.#writeFrame(chain, page, content, 0);
  }

  *#beginFrames(): Steps<Chain> {
    yield* this.#restartLogIfPossible();
    return this.#header.frames === 0 ? yield* this.#writeHeader() : (this.#header.chain as Chain);
  }

  /** Writes one transaction behind the committed frames and publishes it. The write lock must be held. */
  *commit(changes: ReadonlyMap<number, Uint8Array>, pageCount: number, options: CommitOptions): Steps<void> {
    const database = this.#database;
    const index = this.#index;
    let chain = yield* this.#beginFrames();
    const numbers = [...changes.keys()];
    for (const [i, page] of numbers.entries()) {
      const isLast = i === numbers.length - 1;
      chain = yield* this.#writeFrame(chain, page, changes.get(page) as Uint8Array, isLast ? pageCount : 0);
    }
    if (options.sync) {
      const last = numbers.at(-1) as number;
      const end = Math.ceil(chain.offsetBytes / SECTOR_BYTES) * SECTOR_BYTES;
      while (options.padded === true && chain.offsetBytes < end) {
        chain = yield* this.#writeFrame(chain, last, changes.get(last) as Uint8Array, pageCount);
        numbers.push(last);
      }
      database.syncLog();
      yield;
    }
    const { change, frames, salts } = this.#header;
    index.pages.length = frames;
    index.pages.push(...numbers);
    database.onPublishing(this.#process, 'before the header');
    yield;
    yield* this.#publish({
      change: (change + 1) >>> 0,
      frames: frames + numbers.length,
      pageCount,
      pageSizeBytes: PAGE_BYTES,
      salts,
      checksum: chain.checksum,
      chain,
    });
    database.onCommit(changes, pageCount);
  }

  /**
   * Makes the index count as if so many transactions had been committed, checkpointed and overwritten this moment, which nobody
   * but the index remembers. False when others are in the way. The WAL must be empty, and the write lock is taken here.
   */
  *countOn(commits: number): Steps<boolean> {
    const index = this.#index;
    if (!(yield* this.#readHeader()) || this.#header.frames > 0 || index.writer !== undefined) return false;
    if (!index.tryOwn(0, READ_SLOTS, this)) return false;
    index.writer = this;
    const change = (this.#header.change + commits) >>> 0;
    yield* this.#publish({ ...this.#header, change });
    index.disown(0, READ_SLOTS);
    index.writer = undefined;
    return true;
  }

  /** SQLite writes a frame's header and its page one after the other. */
  *#writeFrame(chain: Chain, pageNumber: number, content: Uint8Array, commitPageCount: number): Steps<Chain> {
    const frame = new Uint8Array(frameBytes(PAGE_BYTES));
    frame.set(content, FRAME_HEADER_BYTES);
    const at = chain.offsetBytes;
    const next = encodeFrameHeader(chain, frame, 0, { pageNumber, commitPageCount });
    this.#wal.write(at, frame.subarray(0, FRAME_HEADER_BYTES), this.#database.nowMs);
    yield;
    this.#wal.write(at + FRAME_HEADER_BYTES, frame.subarray(FRAME_HEADER_BYTES), this.#database.nowMs);
    yield;
    return next;
  }

  get #wal(): Inode {
    const wal = this.#database.wal;
    if (wal === undefined) throw new Error('the log was removed under a connection');
    return wal;
  }

  /** The first write on a log that is wholly in the file begins it anew, if nobody reads from it. */
  *#restartLogIfPossible(): Steps<void> {
    const index = this.#index;
    if (this.#slot !== 0) return;
    if (index.backfilled > 0 && index.tryOwn(1, READ_SLOTS, this)) {
      yield* this.#restartIndex();
      index.disown(1, READ_SLOTS);
    }
    this.endRead();
    while (!(yield* this.#tryBeginRead(true))) yield 'waits';
  }

  /** Nobody reads from the WAL, and the caller keeps it so. The next transaction is written over its start. */
  *#restartIndex(): Steps<void> {
    const index = this.#index;
    const { salts } = this.#header;
    this.checkpointSequence++;
    const next = [(salts[0] + 1) >>> 0, this.#database.randomSalt()] as const;
    yield* this.#publish({ ...this.#header, frames: 0, salts: next, chain: undefined });
    index.pages.length = 0;
    index.backfilled = 0;
    index.resetMarks(0);
  }

  *#writeHeader(): Steps<Chain> {
    if (this.checkpointSequence === 0) {
      const salts = [this.#database.randomSalt(), this.#database.randomSalt()] as const;
      this.#header = { ...this.#header, salts };
    }
    const { salts } = this.#header;
    const bytes = encodeWalHeader({
      bigEndianChecksum: false,
      pageSizeBytes: PAGE_BYTES,
      checkpointSequence: this.checkpointSequence,
      salt1: salts[0],
      salt2: salts[1],
    });
    this.#wal.write(0, bytes, this.#database.nowMs);
    yield;
    // Without it a power cut could bring frames of the old log back to life.
    this.#database.syncLog();
    yield;
    return startChain(parseWalHeader(bytes));
  }

  // ---- checkpoints -------------------------------------------------------------------------------------------------

  /**
   * `PRAGMA wal_checkpoint(MODE)`. A killed one leaves the file half written, which the log makes good.
   *
   * @param busyTimeoutMs - how long it waits for writers and readers in all; for another checkpoint nobody waits
   */
  *checkpoint(mode: CheckpointMode, busyTimeoutMs = 0): Steps<CheckpointOutcome> {
    const index = this.#index;
    if (index.checkpointer !== undefined) return { busy: true, logFrames: -1, checkpointedFrames: -1 };
    index.checkpointer = this;
    const untilMs = this.#database.nowMs + busyTimeoutMs;
    let ownsWriteLock = false;
    try {
      if (mode !== 'PASSIVE') ownsWriteLock = yield* this.#untilBusy(untilMs, () => this.#tryOwnWriteLock());
      const waitsUntilMs = ownsWriteLock ? untilMs : undefined;
      if (!(yield* this.#readHeader())) return { busy: true, logFrames: -1, checkpointedFrames: -1 };
      yield* this.#backfill(waitsUntilMs);
      const isWhole = index.backfilled >= this.#header.frames;
      const isDone =
        mode === 'PASSIVE' || (isWhole && ownsWriteLock && (yield* this.#restartAfter(mode, waitsUntilMs)));
      return { busy: !isDone, logFrames: this.#header.frames, checkpointedFrames: index.backfilled };
    } finally {
      if (this.isOpen) this.#endCheckpoint(ownsWriteLock);
    }
  }

  #endCheckpoint(ownsWriteLock: boolean): void {
    const index = this.#index;
    if (ownsWriteLock && index.writer === this) index.writer = undefined;
    if (index.checkpointer === this) index.checkpointer = undefined;
  }

  #tryOwnWriteLock(): boolean {
    if (this.#index.writer !== undefined) return false;
    this.#index.writer = this;
    return true;
  }

  /** Tries until it works or the busy timeout is over; only once without one. */
  *#untilBusy(untilMs: number | undefined, attempt: () => boolean): Steps<boolean> {
    for (;;) {
      if (attempt()) return true;
      if (untilMs === undefined || this.#database.nowMs >= untilMs) return false;
      yield 'waits';
    }
  }

  *#backfill(untilMs: number | undefined): Steps<void> {
    const index = this.#index;
    const { frames } = this.#header;
    if (index.backfilled >= frames) return;
    let safe = frames;
    let waitsUntilMs = untilMs;
    for (let slot = 1; slot < READ_SLOTS; slot++) {
      const mark = index.mark(slot);
      if (safe <= mark) continue;
      if (yield* this.#untilBusy(waitsUntilMs, () => index.tryOwn(slot, slot + 1, this))) {
        index.setMark(slot, slot === 1 ? safe : 'not used');
        index.disown(slot, slot + 1);
      } else {
        safe = mark;
        waitsUntilMs = undefined;
      }
    }
    // Readers of the file alone must not see anything newer in it.
    if (index.backfilled >= safe || !(yield* this.#untilBusy(waitsUntilMs, () => index.tryOwn(0, 1, this))))
      return;
    try {
      yield* this.#copy(safe);
    } finally {
      if (this.isOpen) index.disown(0, 1);
    }
  }

  *#copy(safe: number): Steps<void> {
    const database = this.#database;
    const index = this.#index;
    const { file } = database;
    const { frames, pageCount } = this.#header;
    database.syncLog();
    yield;
    const newest = new Map<number, number>();
    for (let frame = index.backfilled; frame < frames; frame++)
      newest.set(index.pages[frame] as number, frame);
    for (const [page, frame] of [...newest].sort(([a], [b]) => a - b)) {
      // A page whose newest frame is not safe yet stays as it is, whatever older frames of it are.
      if (page > pageCount || frame >= safe) continue;
      const content = pageOf(this.#wal, walBytes(frame, PAGE_BYTES) + FRAME_HEADER_BYTES);
      file.write((page - 1) * PAGE_BYTES, content, database.nowMs);
      yield;
    }
    if (safe === index.publishedFrames) {
      file.truncate(pageCount * PAGE_BYTES, database.nowMs);
      yield;
      file.sync();
      yield;
    }
    index.backfilled = safe;
  }

  *#restartAfter(mode: CheckpointMode, untilMs: number | undefined): Steps<boolean> {
    const index = this.#index;
    if (mode === 'FULL') return true;
    if (!(yield* this.#untilBusy(untilMs, () => index.tryOwn(1, READ_SLOTS, this)))) return false;
    try {
      if (mode === 'TRUNCATE') {
        yield* this.#restartIndex();
        yield;
        this.#database.truncateLog();
      }
    } finally {
      if (this.isOpen) index.disown(1, READ_SLOTS);
    }
    return true;
  }

  close(): void {
    this.endWrite();
    this.#database.close(this);
  }
}
