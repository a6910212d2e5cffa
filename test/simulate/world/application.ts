/**
 * The application: it knows nothing of anybody else. It commits, rolls back, checkpoints in every mode, reads for long,
 * closes and opens its connection, is killed in the middle of anything, and remembers every state that it committed.
 */
import type { Random } from '../../faults/random.ts';
import type { Disk } from './disk.ts';
import { SimProcess, type ProcessHooks } from './process.ts';
import {
  type CheckpointMode,
  PAGE_BYTES,
  type PublishingPhase,
  type SimConnection,
  type SimDatabase,
  type Steps,
} from './sqlite.ts';
import type { SimTime } from './time.ts';

/** The versions of all pages after a transaction; a page's content follows from its number and version. */
export interface CommittedState {
  readonly transaction: number;
  readonly versions: readonly number[];
  readonly atMs: number;
}

/** What was ever committed, on any machine. */
export interface Past {
  readonly history: Map<number, CommittedState>;
  /** Transactions whose writer was killed in the middle: their commit may lie in the log, unpublished. */
  readonly inDoubt: Map<number, readonly number[]>;
}

export interface Habits {
  /** Mean pause between two actions. */
  readonly pauseMs: number;
  readonly pagesMax: number;
  readonly synchronousFull: boolean;
  /** `psow=0`: with `synchronousFull` each commit is padded to a sector with copies of its commit frame. */
  readonly isPadded: boolean;
  /** Transactions that were committed before anybody looked. */
  readonly commitsBefore: number;
  /** How long a checkpoint waits for readers and writers. */
  readonly busyTimeoutMs: number;
  /** Frames in the log from which on a commit checkpoints by itself; 0 never. */
  readonly autoCheckpointFrames: number;
  readonly weights: Readonly<Record<Action, number>>;
}

export type Action =
  | 'commit'
  | 'large'
  | 'vacuum'
  | 'rollback'
  | 'read-then-write'
  | 'burst'
  | 'guest'
  | 'thousands'
  | 'checkpoint'
  | 'read'
  | 'reopen'
  | 'shrink'
  | 'rest';

/** What the application feels of others. */
export interface Feels {
  /** A read transaction that should become a write found somebody else's write lock: an error at once. */
  readonly lockedAtOnce: () => void;
  /** How long a checkpoint took, and whether it was told that somebody was in the way. */
  readonly checkpointed: (ms: number, busy: boolean) => void;
}

export const TRANSACTION_AT = 100;
const PAUSED_LOOK_MS = 200;
const THOUSANDS = 5_000;
const MODES = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;

/** The one content that page `page` can have in version `version`; version 0 is all that was never written. */
export function pageContent(page: number, version: number, pageCount: number): Uint8Array {
  const words = new Uint32Array(PAGE_BYTES / 4);
  let mixed = Math.imul(page, 0x9e3779b1) ^ Math.imul(version + 1, 0x85ebca6b);
  for (let i = 0; i < words.length; i++) {
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) + i;
    words[i] = mixed;
  }
  const bytes = new Uint8Array(words.buffer);
  if (page === 1) writeHeader(bytes, version, pageCount);
  return bytes;
}

/** Page 1 is a database header in WAL mode; it also tells the number of the transaction. */
function writeHeader(bytes: Uint8Array, transaction: number, pageCount: number): void {
  bytes.set(Buffer.from('SQLite format 3\0', 'latin1'));
  const view = new DataView(bytes.buffer);
  view.setUint16(16, PAGE_BYTES);
  view.setUint8(18, 2);
  view.setUint8(19, 2);
  // The change counter, twice, so that the number of pages counts.
  view.setUint32(24, transaction);
  view.setUint32(92, transaction);
  view.setUint32(28, pageCount);
  view.setUint32(TRANSACTION_AT, transaction);
}

export function transactionOf(firstPage: Uint8Array): number {
  return new DataView(firstPage.buffer, firstPage.byteOffset).getUint32(TRANSACTION_AT);
}

export class Application {
  database: SimDatabase;
  readonly #disk: Disk;
  readonly #random: Random;
  readonly #time: SimTime;
  readonly #habits: Habits;
  readonly #hooks: ProcessHooks;
  readonly #past: Past;
  readonly #onEnd: () => void;
  readonly #feels: Feels;
  #process: SimProcess;
  /** A process of the same application with a short life, beside the one that stays. */
  #guest: SimProcess | undefined;
  /** Where in its next commit a process of it dies. */
  #doom:
    | { readonly process: SimProcess; readonly phase: PublishingPhase; readonly restartMs: number }
    | undefined;
  #connection: SimConnection | undefined;
  #work: Steps<void> | undefined;
  /** For a lock that somebody else has. */
  #isWaiting = false;
  #versions: number[];
  #transaction = 0;
  #lastTransaction = 0;
  #isStopped = false;
  #isHomeless = false;
  /** The machine is paused: nothing of it goes on. */
  isPaused = false;

  constructor(parts: {
    database: SimDatabase;
    disk: Disk;
    random: Random;
    time: SimTime;
    habits: Habits;
    hooks: ProcessHooks;
    /** Transactions are numbered from here on; tells the writers of two machines apart. */
    firstTransaction: number;
    pages: number;
    past: Past;
    readonly feels: Feels;
    /** Told whenever the log has a new end: after each commit, and after it was recovered. */
    onEnd: () => void;
  }) {
    this.#past = parts.past;
    this.#onEnd = parts.onEnd;
    this.#feels = parts.feels;
    this.database = parts.database;
    this.#disk = parts.disk;
    this.#random = parts.random;
    this.#time = parts.time;
    this.#habits = parts.habits;
    this.#hooks = parts.hooks;
    this.#process = new SimProcess('application', parts.disk, parts.hooks);
    this.#lastTransaction = parts.firstTransaction;
    this.#transaction = parts.firstTransaction;
    this.#versions = Array.from({ length: parts.pages }, () => parts.firstTransaction);
    this.#remember();
  }

  /** Makes the database file, and begins to act. */
  start(isNew: boolean): void {
    if (isNew) this.#create();
    this.#watch();
    const { commitsBefore } = this.#habits;
    if (isNew && commitsBefore > 0) for (const _ of this.#open().countOn(commitsBefore)) continue;
    this.#plan();
  }

  #create(): void {
    this.database.create(this.#versions.map((version, i) => this.#content(i + 1, version)));
  }

  #watch(): void {
    this.database.onPublishing = (process, phase) => {
      if (this.#doom?.process === process && this.#doom.phase === phase) this.#meetDoom(this.#doom.restartMs);
    };
    this.database.onCommit = (pages) => {
      this.#committed(pages);
      this.#onEnd();
    };
    this.database.onRecovery = (firstPage) => {
      if (!this.#recovered(firstPage)) throw new Error('the simulated SQLite recovered what nobody wrote');
      this.#onEnd();
    };
  }

  /** Ends, and waits for `begin`: its database is gone. */
  loseDatabase(): void {
    this.kill(undefined);
    this.#isHomeless = true;
    // Rivulet may still have it open, and what happens in it is nobody's any more.
    this.database.onCommit = () => undefined;
    this.database.onRecovery = () => undefined;
  }

  /** Goes on, after it was killed, with a new database in the place of the old one. */
  begin(database: SimDatabase, pages: number): void {
    this.#isHomeless = false;
    this.database = database;
    this.#transaction = ++this.#lastTransaction;
    this.#versions = Array.from({ length: pages }, () => this.#transaction);
    this.#remember();
    this.#create();
    this.#watch();
  }

  /** What the first to open the database after all were gone finds in it. Answers false when it was never written. */
  #recovered(firstPage: Uint8Array): boolean {
    const transaction = transactionOf(firstPage);
    const versions = this.#past.history.get(transaction)?.versions ?? this.#past.inDoubt.get(transaction);
    if (versions === undefined) return false;
    this.#versions = [...versions];
    this.#transaction = transaction;
    if (!this.#past.history.has(transaction)) this.#remember();
    return true;
  }

  get current(): CommittedState {
    return this.#past.history.get(this.#transaction) as CommittedState;
  }

  get lastTransaction(): number {
    return this.#lastTransaction;
  }

  get isBusy(): boolean {
    return this.#work !== undefined;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** No new actions; what is under way is finished. */
  stop(): void {
    this.#isStopped = true;
  }

  #remember(): void {
    const { wallMs } = this.#time;
    const state = { transaction: this.#transaction, versions: [...this.#versions], atMs: wallMs };
    this.#past.history.set(this.#transaction, state);
  }

  #content(page: number, version: number): Uint8Array {
    return pageContent(page, version, page === 1 ? this.#versions.length : 0);
  }

  #pending: { transaction: number; versions: number[] } | undefined;

  /** Also told of a frame by which Rivulet changes nothing. */
  #committed(pages: ReadonlyMap<number, Uint8Array>): void {
    const first = pages.get(1);
    if (first === undefined || this.#pending === undefined) return;
    const transaction = transactionOf(first);
    if (transaction !== this.#pending.transaction) return;
    this.#versions = this.#pending.versions;
    this.#transaction = transaction;
    this.#pending = undefined;
    this.#remember();
  }

  // ---- acting ----------------------------------------------------------------------------------------------------

  #plan(): void {
    if (this.#isStopped) return;
    const { pauseMs } = this.#habits;
    const waitMs = this.#random.chance(0.3) ? 0 : -Math.log(1 - this.#random.next()) * pauseMs;
    const process = this.#process;
    this.#after(waitMs, () => {
      if (this.#isStopped || process.isDead) return;
      this.#work ??= this.#act(this.#random.weighted(this.#habits.weights));
      this.#goOn(process);
    });
  }

  /** Later, and not while the machine is paused. */
  #after(ms: number, action: () => void): void {
    const whenAwake = (): void => {
      if (this.isPaused) this.#time.after(PAUSED_LOOK_MS, whenAwake, true);
      else action();
    };
    this.#time.after(ms, whenAwake, true);
  }

  /** One step after another with a little time between; others may take steps too. */
  #goOn(process: SimProcess): void {
    if (process.isDead) return;
    if (!this.step()) {
      this.#plan();
      return;
    }
    const pauseMs = this.#random.chance(0.8) ? 0 : this.#random.int(0, 3);
    this.#after(Math.max(pauseMs, this.#isWaiting ? 1 : 0), () => this.#goOn(process));
  }

  /** Does one step of what is under way; false when nothing is. */
  step(): boolean {
    if (this.#work === undefined || this.#process.isDead || this.isPaused) return false;
    const { done, value } = this.#work.next();
    this.#isWaiting = value === 'waits';
    if (done === true) this.#work = undefined;
    return true;
  }

  #act(action: Action): Steps<void> {
    const random = this.#random;
    const pages = this.#versions.length;
    const actions: Readonly<Record<Action, () => Steps<void>>> = {
      commit: () => this.#write(random.int(1, 4), pages),
      vacuum: () => this.#write(4 * pages, random.int(Math.max(2, pages - 2), pages)),
      'read-then-write': () => this.#readThenWrite(pages),
      burst: () => this.#burst(pages),
      guest: () => this.#beGuest(pages),
      thousands: () => this.#commitThousands(),
      large: () => this.#write(random.int(5, 20), this.#grown()),
      shrink: () => this.#write(2, random.int(Math.min(2, pages), pages)),
      rollback: () => this.#rollBack(),
      checkpoint: () => this.#checkpoint(random.pick(MODES)),
      read: () => this.#readForLong(),
      reopen: () => this.#reopen(),
      rest: () => this.#rest(),
    };
    return actions[action]();
  }

  #grown(): number {
    return Math.min(this.#habits.pagesMax, this.#versions.length + this.#random.int(0, 6));
  }

  #open(): SimConnection {
    this.#connection ??= this.database.open(this.#process);
    return this.#connection;
  }

  *#begin(connection: SimConnection = this.#open()): Steps<SimConnection | undefined> {
    if (connection.isReading) return undefined;
    for (let attempt = 0; attempt < 200; attempt++) {
      if (yield* connection.beginWrite()) return connection;
      yield 'waits';
    }
    return undefined;
  }

  *#write(pages: number, pageCount: number): Steps<void> {
    const connection = yield* this.#begin();
    if (connection === undefined) return;
    yield* this.#commit(connection, pages, pageCount);
    const { autoCheckpointFrames } = this.#habits;
    if (autoCheckpointFrames > 0 && this.database.published.frames >= autoCheckpointFrames)
      yield* connection.checkpoint('PASSIVE');
  }

  *#commit(connection: SimConnection, pages: number, pageCount: number): Steps<void> {
    const { changes, versions, transaction } = this.#nextTransaction(pages, pageCount);
    this.#pending = { transaction, versions };
    const { synchronousFull, isPadded } = this.#habits;
    yield* connection.commit(changes, pageCount, { sync: synchronousFull, padded: isPadded });
    connection.endWrite();
  }

  /** A plain transaction that reads first: SQLite calls no busy handler when it becomes a write. */
  *#readThenWrite(pages: number): Steps<void> {
    const connection = this.#open();
    if (connection.isReading || !(yield* connection.beginRead())) return;
    for (let n = this.#random.int(1, 4); n > 0; n--) yield;
    const lock = connection.upgrade();
    if (lock === 'done') yield* this.#commit(connection, this.#random.int(1, 3), pages);
    else {
      if (lock === 'busy') this.#feels.lockedAtOnce();
      connection.endRead();
    }
  }

  /** Several commits without a pause, each followed by a checkpoint of all: the next one restarts the WAL. */
  *#burst(pages: number): Steps<void> {
    for (let n = this.#random.int(2, 6); n > 0; n--) {
      const connection = yield* this.#begin();
      if (connection === undefined) return;
      yield* this.#commit(connection, this.#random.int(1, 3), pages);
      if (this.#random.chance(0.8)) yield* connection.checkpoint('PASSIVE');
    }
  }

  /** More transactions in one go than anybody commits between two looks of somebody who looks. */
  *#commitThousands(): Steps<void> {
    const connection = this.#open();
    if (connection.isReading || (yield* connection.checkpoint('TRUNCATE')).busy) return;
    if (yield* connection.countOn(THOUSANDS)) yield* connection.checkpoint('TRUNCATE');
  }

  /** Opens the database, does something, and goes, some in the middle of their commit. */
  *#beGuest(pages: number): Steps<void> {
    const process = new SimProcess('guest', this.#disk, this.#hooks);
    this.#guest = process;
    const random = this.#random;
    if (random.chance(0.4)) {
      const phase = random.pick(['before the header', 'between the copies'] as const);
      this.#doom = { process, phase, restartMs: 0 };
    }
    const connection = this.database.open(process);
    for (let n = random.int(1, 3); n > 0; n--) {
      if ((yield* this.#begin(connection)) === undefined) break;
      yield* this.#commit(connection, random.int(1, 3), pages);
      if (random.chance(0.5)) yield* connection.checkpoint(random.pick(MODES), this.#habits.busyTimeoutMs);
    }
    if (random.chance(0.3)) process.kill();
    else connection.close();
    this.#guest = undefined;
  }

  #nextTransaction(pages: number, pageCount: number) {
    const transaction = ++this.#lastTransaction;
    const versions = Array.from({ length: pageCount }, (_, i) => this.#versions[i] ?? transaction);
    // New pages are written, page 1 is written, and some others.
    const touched = new Set([1]);
    for (let page = this.#versions.length + 1; page <= pageCount; page++) touched.add(page);
    for (let n = 0; n < pages; n++) touched.add(this.#random.int(1, pageCount));
    for (const page of touched) versions[page - 1] = transaction;
    const changes = new Map<number, Uint8Array>();
    for (const page of touched) changes.set(page, pageContent(page, transaction, page === 1 ? pageCount : 0));
    return { transaction, versions, changes };
  }

  /** Frames of a transaction that never commits stay behind the end of the log. */
  *#rollBack(): Steps<void> {
    const connection = yield* this.#begin();
    if (connection === undefined) return;
    const { changes } = this.#nextTransaction(3, this.#versions.length);
    yield* connection.spill(new Map([...changes].slice(0, this.#random.int(1, changes.size))));
    connection.endWrite();
  }

  *#checkpoint(mode: CheckpointMode): Steps<void> {
    const connection = this.#open();
    if (connection.isReading) return;
    for (let attempt = 0; attempt < 5; attempt++) {
      const sinceMs = this.#time.elapsedMs;
      const { busy } = yield* connection.checkpoint(mode, this.#habits.busyTimeoutMs);
      this.#feels.checkpointed(this.#time.elapsedMs - sinceMs, busy);
      if (!busy && this.#random.chance(0.8)) return;
      yield;
    }
  }

  *#readForLong(): Steps<void> {
    const reader = this.database.open(this.#process, true);
    if (!(yield* reader.beginRead())) {
      reader.close();
      return;
    }
    const steps = this.#random.int(1, 60);
    const releaseAt = this.#time.elapsedMs + this.#random.int(0, 3_000);
    const process = this.#process;
    this.#after(releaseAt - this.#time.elapsedMs, () => {
      if (!process.isDead) reader.close();
    });
    for (let n = 0; n < steps && n < 3; n++) yield;
  }

  *#reopen(): Steps<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    yield;
    connection?.close();
    yield;
  }

  *#rest(): Steps<void> {
    yield;
  }

  // ---- dying -----------------------------------------------------------------------------------------------------

  /** From now on somebody may find the transaction under way committed: a copy of the machine, or who comes after. */
  doubt(): void {
    if (this.#pending !== undefined)
      this.#past.inDoubt.set(this.#pending.transaction, this.#pending.versions);
  }

  /** Killed in the middle of whatever it does; comes back by itself unless `restart` is false. */
  kill(restartAfterMs: number | undefined): void {
    this.doubt();
    this.#doom = undefined;
    this.#guest?.kill();
    this.#guest = undefined;
    this.#process.kill();
    this.#work = undefined;
    this.#pending = undefined;
    this.#connection = undefined;
    if (restartAfterMs !== undefined) this.#time.after(restartAfterMs, () => this.restart());
  }

  /** Dies in its next commit, at the place that is said. */
  dieInCommit(phase: PublishingPhase, restartMs: number): void {
    if (!this.#process.isDead) this.#doom = { process: this.#process, phase, restartMs };
  }

  #meetDoom(restartMs: number): void {
    if (this.#doom?.process === this.#process) {
      this.kill(restartMs);
      return;
    }
    // Only the guest; whoever is left goes on.
    this.doubt();
    this.#guest?.kill();
    this.#guest = undefined;
    this.#doom = undefined;
    this.#work = undefined;
    this.#pending = undefined;
  }

  restart(): void {
    if (!this.#process.isDead || this.#isStopped || this.#isHomeless) return;
    this.#process = new SimProcess('application', this.#disk, this.#hooks);
    this.#plan();
  }
}
