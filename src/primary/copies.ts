/**
 * Snapshots that are copied aside before they are uploaded: chooses where the copy is kept, makes everything that it needs be
 * kept from before its first piece (`database-copy.ts` says why), and begins again when that did not work.
 */
import type { Clock } from '../base/clock.ts';
import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import type { Position } from '../generations/names.ts';
import {
  CopyFailed,
  type CopyStore,
  CopyTooLarge,
  FileCopy,
  MemoryBudget,
  MemoryCopy,
} from './copy-store.ts';
import { startOfLog } from './cursor.ts';
import {
  type Copied,
  COPY_PIECE_BYTES,
  copyDatabase,
  CopyLost,
  type CopyOptions,
  type CopySource,
} from './database-copy.ts';
import type { Following } from './following.ts';
import type { LogFollower } from './log-follower.ts';
import type { LogKeeper } from './log-keeper.ts';
import type { Machine } from './machine.ts';
import { readAgain, type ReadAgainDeps } from './read-again.ts';
import type { Snapshot } from './snapshot-source.ts';
import { takeNext } from './take.ts';

/**
 * How often the end of the log is looked for, and how long others may go on between. A writer that is stopped while it
 * publishes a commit hides the end; ten seconds are worth the copy that is made already.
 */
const END_ATTEMPTS = 200;
const END_PAUSE_MS = 50;
/** More than this ahead is left to the next attempt. */
const AHEAD_BYTES = 16 * 1024 * 1024;
/** A copy begins again when something of the log that it needs was not kept, as on a full disk. */
const COPY_ATTEMPTS = 3;

/** Copied in some milliseconds, and most databases are not larger. */
export const IN_MEMORY_BYTES: number = 4 * 1024 * 1024;
/** What a small database may have grown by when its copy ends. */
const GROWTH_BYTES = 256 * 1024;
/** Of all databases together: thousands may want a first snapshot at once. */
const MEMORY_BYTES = 32 * 1024 * 1024;

const memory = new MemoryBudget(MEMORY_BYTES);

export interface CopySizes {
  /** A database of at most so many bytes is copied into memory. */
  readonly inMemoryBytes?: number;
  readonly pieceBytes?: number;
}

export interface CopiesParts {
  /** The state directory. */
  readonly directory: string;
  readonly files: Files;
  readonly machine: Pick<Machine, 'pause' | 'randomBytes'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keeper: LogKeeper;
  readonly follower: Pick<LogFollower, 'settled' | 'requireSame' | 'pin'>;
  readonly sizes: CopySizes | undefined;
  /** From now on everything from the start of the present log on is kept for `consumer`. Run exclusively. */
  readonly attach: (consumer: symbol) => Promise<Following>;
  /** Runs what may find the log grown, alone. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  readonly tooFast: () => RivuletError;
}

export interface CopyRequest extends Omit<CopyOptions, 'pieceBytes'> {
  /** Throws when the copy is not to be made of what is followed now. */
  readonly assertWanted: (following: Following) => void;
  /** The destination for which everything from the start of the snapshot's log on is kept when the copy is there. */
  readonly keepFor: string | undefined;
}

export class Copies {
  readonly #parts: CopiesParts;
  /** Copies that are being made, and when they began. */
  readonly #underWay = new Map<symbol, number>();

  constructor(parts: CopiesParts) {
    this.#parts = parts;
  }

  /** For how long the oldest copy that is being made has been; undefined when none is. */
  get underWayForMs(): number | undefined {
    if (this.#underWay.size === 0) return undefined;
    return this.#parts.clock.monotonicMs() - Math.min(...this.#underWay.values());
  }

  /** @throws CopyFailed when it cannot be made here; RivuletError `DB_BUSY`, `DB_NOT_FOUND`, `CANCELLED` */
  async open(request: CopyRequest): Promise<Snapshot> {
    let mayUseMemory = true;
    let why = '';
    for (let attempt = 0; attempt < COPY_ATTEMPTS; attempt++) {
      const consumer = Symbol('copy');
      this.#underWay.set(consumer, this.#parts.clock.monotonicMs());
      try {
        return await this.#copy(consumer, mayUseMemory, request);
      } catch (error) {
        if (error instanceof CopyTooLarge) mayUseMemory = false;
        else if (error instanceof CopyLost) why = error.message;
        else throw error;
      } finally {
        this.#underWay.delete(consumer);
        this.#parts.keeper.drop(consumer);
      }
    }
    throw new CopyFailed(`the log was not kept for as long as it takes: ${why}`);
  }

  async #copy(consumer: symbol, mayUseMemory: boolean, request: CopyRequest): Promise<Snapshot> {
    const { keeper, sizes, attach, exclusively, machine, clock, logger } = this.#parts;
    // Everything from here on is kept before the first piece is read.
    const following = await exclusively(async () => attach(consumer));
    request.assertWanted(following);
    this.#parts.follower.requireSame(following);
    const source = this.#sourceOf(consumer, following);
    const store = this.#openStore(following, mayUseMemory);
    const pieceBytes = sizes?.pieceBytes ?? COPY_PIECE_BYTES;
    try {
      const copied = await copyDatabase(source, store, { ...request, pieceBytes });
      this.#parts.follower.requireSame(following);
      const { index } = copied.position;
      if (request.keepFor !== undefined) keeper.confirm(request.keepFor, { index, offsetBytes: 0 });
      const previousEnd = keeper.ends.get(index - 1);
      const { pageSizeBytes } = source;
      const assertGoesOn = (): void => void this.#parts.follower.requireSame(following);
      const { pause } = machine;
      const facts = { previousEnd, pageSizeBytes, pieceBytes, pause, assertGoesOn, clock, logger };
      return snapshotOf(copied, store, facts);
    } catch (error) {
      store.close();
      throw error;
    }
  }

  #openStore({ database, tail }: Following, mayUseMemory: boolean): CopyStore {
    const { files, directory, machine, logger, sizes } = this.#parts;
    const bytes = Math.max(database.file.sizeBytes(), tail.commitPageCount * tail.pageSizeBytes);
    if (mayUseMemory && bytes <= (sizes?.inMemoryBytes ?? IN_MEMORY_BYTES)) {
      const inMemory = MemoryCopy.open(memory, bytes + GROWTH_BYTES);
      if (inMemory !== undefined) return inMemory;
    }
    const word = Buffer.from(machine.randomBytes(8)).toString('hex');
    const store = new FileCopy({ files, directory, word, bytes });
    logger.info('copying the database aside for a snapshot', { databaseBytes: bytes, directory });
    return store;
  }

  #sourceOf(consumer: symbol, begun: Following): CopySource {
    const { keeper, machine, clock, logger } = this.#parts;
    const { database, tail } = begun;
    const present = (): Following => this.#parts.follower.requireSame(begun);
    return {
      file: database.file,
      pageSizeBytes: tail.pageSizeBytes,
      fileBytes: database.file.sizeBytes(),
      start: startOfLog(tail.index),
      position: () => present().tail.position,
      take: (cursor, limits) => takeNext({ ...present(), keeper }, cursor, limits),
      lookAtEnd: async () => this.#lookAtEnd(begun),
      confirm: (position) => {
        present();
        keeper.confirm(consumer, position);
      },
      pause: machine.pause,
      clock,
      logger,
    };
  }

  /** Behind everything that was committed before the call, and so behind all that has been checkpointed. */
  async #lookAtEnd(begun: Following): Promise<Position> {
    const { clock, exclusively, tooFast } = this.#parts;
    for (let attempt = 0; attempt < END_ATTEMPTS; attempt++) {
      const position = await exclusively(async () => this.#endNow(begun));
      if (position !== undefined) return position;
      await clock.sleep(END_PAUSE_MS);
    }
    throw tooFast();
  }

  /** Undefined while the end cannot be told: a look passes over that, and over a log that is restarted this moment. */
  async #endNow(begun: Following): Promise<Position | undefined> {
    try {
      await this.#parts.follower.settled();
    } catch (error) {
      if (!isRivuletError(error, 'DB_BUSY')) throw error;
      return undefined;
    }
    const { tail } = this.#parts.follower.requireSame(begun);
    const isSeen = tail.isSameLog() && tail.advanceNow(AHEAD_BYTES) && tail.isSameLog();
    return isSeen ? tail.position : undefined;
  }
}

interface SnapshotFacts extends Pick<Snapshot, 'previousEnd' | 'pageSizeBytes'>, ReadAgainDeps {
  readonly pieceBytes: number;
  readonly pause: () => Promise<void>;
  /** Nobody needs a copy of a generation that has ended, and it must not appear behind what comes after it. */
  readonly assertGoesOn: () => void;
}

function snapshotOf({ position, pageCount, end }: Copied, store: CopyStore, facts: SnapshotFacts): Snapshot {
  const { previousEnd, pageSizeBytes } = facts;
  let isOpen = true;
  return {
    position,
    pageSizeBytes,
    pageCount,
    end,
    previousEnd,
    pages: () => readPages(store, pageCount * pageSizeBytes, facts),
    close: () => {
      if (isOpen) store.close();
      isOpen = false;
    },
  };
}

async function* readPages(
  store: CopyStore,
  sizeBytes: number,
  facts: SnapshotFacts,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { pieceBytes, pause, assertGoesOn } = facts;
  const buffer = new Uint8Array(Math.min(pieceBytes, sizeBytes));
  for (let at = 0; at < sizeBytes; at += pieceBytes) {
    const piece = buffer.subarray(0, Math.min(pieceBytes, sizeBytes - at));
    assertGoesOn();
    await readAgain(() => store.read(piece, at), facts);
    yield piece;
    await pause();
  }
}
