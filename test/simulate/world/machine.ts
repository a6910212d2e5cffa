/** The machine as a simulated Rivulet process sees it: its files, its connections to SQLite, its instance lock. */
import { RivuletError } from '../../../src/base/errors.ts';
import type { CheckpointResult, Connections } from '../../../src/primary/connections.ts';
import type { Machine } from '../../../src/primary/machine.ts';
import type { Random } from '../../faults/random.ts';
import type { SimProcess } from './process.ts';
import type { SimConnection, SimDatabase, Steps } from './sqlite.ts';
import type { Clocks, SimTime } from './time.ts';

/** Pauses of one process take so long altogether: a log of thousands of pieces would be read for an hour otherwise. */
const PAUSED_MS_MAX = 60_000;
const WRITE_LOCK_WAIT_MS = 30;
const WRITE_LOCK_STEP_MS = 1;
/** A disk that is busy makes a checkpoint under the write lock take so long. */
const SLOW_DISK_CHANCE = 0.5;
const SLOW_DISK_MS_MAX = 3_000;
/** A call that waits for another process, which goes on meanwhile. */
export const WAITS = 'wait for another process';
/** Mostly there is nobody else. */
const PAUSE_CHANCE = 0.2;

export interface MachineParts {
  readonly process: SimProcess;
  readonly random: Random;
  readonly time: SimTime;
  readonly clocks: Clocks;
  readonly bootId: () => string;
  readonly database: (path: string) => SimDatabase;
  /** Instance locks that are held, by directory. */
  readonly locks: Map<string, SimProcess>;
  /** The most that others take while this process lets them run. */
  readonly pauseMsMax: number;
  /** The longest that writers of others were kept waiting. */
  readonly onWriteLockHeld: (ms: number) => void;
}

export function simMachine(parts: MachineParts): Machine {
  const { process, random, time, locks, clocks, pauseMsMax } = parts;
  let pausedMs = 0;
  const clock = time.clockOf(process, clocks);
  return {
    files: process.files,
    makeSidecars: () => undefined,
    openConnections: (path) => new SimConnections(path, parts),
    checkpointInBackground: async (path) => {
      process.call('open for a checkpoint');
      const connection = parts.database(path).open(process);
      try {
        return finish(connection.checkpoint('PASSIVE'), parts, 'checkpoint').busy;
      } finally {
        connection.close();
      }
    },
    isCheckpointerFree: async () => true,
    checkpointWithin: (path, ms) => {
      process.call('open for a checkpoint under the lock');
      const tookMs = random.chance(SLOW_DISK_CHANCE) ? random.int(0, SLOW_DISK_MS_MAX) : 0;
      time.pass(Math.min(Math.max(0, ms), tookMs));
      // It ends before anybody else runs, or never: what comes in between is what checkpoints in the background meet.
      if (tookMs > ms && random.chance(0.5)) return 'late';
      const connection = parts.database(path).open(process);
      try {
        const { busy } = finish(connection.checkpoint('PASSIVE'), parts, 'checkpoint');
        return tookMs > ms ? 'late' : busy ? 'busy' : 'done';
      } finally {
        connection.close();
      }
    },
    claimDatabase: () => ({ keep: () => undefined, release: () => undefined }),
    openStateDirectory: (directory, databasePath) => {
      process.call('take the instance lock');
      if (locks.has(directory)) throw new RivuletError('DB_IN_USE', `${databasePath} is in use`);
      locks.set(directory, process);
      const release = (): void => {
        if (locks.get(directory) === process) locks.delete(directory);
      };
      process.onDeath(release);
      process.files.makeDirectory(directory, 0o700);
      return { files: process.files, refresh: () => false, release };
    },
    pause: async () => {
      await process.callOrNever('pause');
      if (pauseMsMax === 0 || pausedMs >= PAUSED_MS_MAX || !random.chance(PAUSE_CHANCE)) return;
      const ms = random.int(1, pauseMsMax);
      pausedMs += ms;
      await clock.sleep(ms);
    },
    standStill: (ms) => {
      time.pass(ms);
      process.call('stand still');
    },
    monotonicMs: () => time.elapsedMs + parts.clocks.monotonicSkewMs,
    bootId: parts.bootId,
    randomBytes: (length) => Uint8Array.from({ length }, () => random.int(0, 255)),
  };
}

/** Time that passes while SQLite waits for another process. */
const WAIT_MS = 1;

/** Runs all steps now; others come in between, and the process may die there. */
function finish<Result>(
  steps: Steps<Result>,
  { process, time }: Pick<MachineParts, 'process' | 'time'>,
  what: string,
): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    if (value === 'waits') time.pass(WAIT_MS);
    process.call(value === 'waits' ? WAITS : what);
  }
}

/** What SQLite throws when it gives up. */
function lockingError(code: number, message: string): Error {
  return Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode: code });
}

const SQLITE_PROTOCOL = 15;

class SimConnections implements Connections {
  readonly switchedToWal = false;
  readonly #parts: MachineParts;
  readonly #database: SimDatabase;
  readonly #writer: SimConnection;
  readonly #checkpointer: SimConnection;
  #holder: SimConnection;
  #spare: SimConnection;
  #holding = false;

  constructor(path: string, parts: MachineParts) {
    this.#parts = parts;
    this.#database = parts.database(path);
    const open = (readOnly: boolean): SimConnection => {
      parts.process.call('open a connection');
      return this.#database.open(parts.process, readOnly);
    };
    this.#writer = open(false);
    this.#checkpointer = open(false);
    this.#holder = open(true);
    this.#spare = open(true);
  }

  #call(what: string): void {
    this.#parts.process.call(what);
  }

  get holding(): boolean {
    return this.#holding;
  }

  hold(): void {
    if (this.#holding) return;
    this.#call('hold');
    this.#begin(this.#holder);
    this.#holding = true;
  }

  moveHold(whileBothHold: () => boolean): boolean {
    this.#call('move the hold');
    this.#begin(this.#spare);
    let moved = false;
    try {
      moved = whileBothHold();
    } finally {
      if (!moved) this.#end(this.#spare);
    }
    if (!moved) return false;
    const old = this.#holder;
    if (this.#holding) this.#end(old);
    this.#holder = this.#spare;
    this.#spare = old;
    this.#holding = true;
    return true;
  }

  #begin(connection: SimConnection): void {
    if (!this.#finish(connection.beginRead(), 'begin a read'))
      throw lockingError(SQLITE_PROTOCOL, 'locking protocol');
  }

  #finish<Result>(steps: Steps<Result>, what: string): Result {
    return finish(steps, this.#parts, what);
  }

  #end(connection: SimConnection): void {
    this.#call('end a read');
    connection.endRead();
  }

  release(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#end(this.#holder);
  }

  withWriteLock<T>(section: () => T, waitMs: number = WRITE_LOCK_WAIT_MS): T | undefined {
    if (!this.#takeWriteLock(waitMs)) return undefined;
    const { time, onWriteLockHeld } = this.#parts;
    const sinceMs = time.elapsedMs;
    try {
      return section();
    } finally {
      onWriteLockHeld(time.elapsedMs - sinceMs);
      this.#call('roll back');
      this.#writer.endWrite();
    }
  }

  #takeWriteLock(waitMs: number): boolean {
    const { time } = this.#parts;
    const giveUpMs = time.elapsedMs + waitMs;
    for (;;) {
      this.#call('take the write lock');
      if (this.#finish(this.#writer.beginWrite(), 'take the write lock')) return true;
      if (time.elapsedMs >= giveUpMs) return false;
      time.pass(WRITE_LOCK_STEP_MS);
    }
  }

  recoverIndex(): void {
    this.#call('recover the index');
    this.#begin(this.#checkpointer);
    this.#end(this.#checkpointer);
  }

  checkpointPassive(): CheckpointResult {
    this.#call('checkpoint');
    return this.#finish(this.#checkpointer.checkpoint('PASSIVE'), 'checkpoint');
  }

  openReader(): { end(): void } {
    this.#call('open a reader');
    const connection = this.#database.open(this.#parts.process, true);
    try {
      this.#begin(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
    return {
      end: () => {
        this.#call('close a reader');
        connection.close();
      },
    };
  }

  close(): void {
    this.#call('close');
    for (const connection of [this.#writer, this.#checkpointer, this.#spare, this.#holder])
      connection.close();
    this.#holding = false;
  }
}
