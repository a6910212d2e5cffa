/**
 * Consistent copies of the database for destinations. The database is copied aside first, into memory or into the state
 * directory, without any lock (`copies.ts`): a read transaction that lasts as long as an upload would keep the log from
 * being restarted, and an application that wants to truncate it would wait for hours. Only where there is no room for a
 * copy, the live database is read during the upload, in a read transaction (`pin-snapshot.ts`).
 */
import { RivuletError } from '../base/errors.ts';
import { systemHint } from '../base/system-hint.ts';
import type { Generation } from '../generations/names.ts';
import { Copies, type CopiesParts, type CopyRequest, IN_MEMORY_BYTES } from './copies.ts';
import { CopyFailed } from './copy-store.ts';
import { type Cursor, startOfLog } from './cursor.ts';
import type { Following } from './following.ts';
import { pinSnapshot } from './pin-snapshot.ts';
import type { Snapshot } from './snapshot-source.ts';
import { stillSnapshot } from './still-snapshot.ts';

/** Attempts to begin a snapshot while the log changes; the first few without taking the write lock. */
const PIN_ATTEMPTS = 50;
const PIN_ATTEMPTS_UNLOCKED = 3;
const ATTACH_ATTEMPTS = 20;

export interface SnapshotsParts extends Omit<CopiesParts, 'attach' | 'tooFast'> {
  /** The database file. */
  readonly path: string;
  readonly spoolLimitBytes: number;
}

export interface SnapshotOptions extends Partial<Omit<CopyRequest, 'assertWanted'>> {
  /** The generation that it is for; a snapshot of another one must not get there. */
  readonly wanted?: Generation | undefined;
  /**
   * Where nothing is being committed, the database is read while the snapshot goes out. It throws SnapshotOvertaken when
   * something is committed before its end: it has to be opened again then, without this.
   */
  readonly isLive?: boolean | undefined;
}

export class Snapshots {
  readonly #parts: SnapshotsParts;
  readonly #copies: Copies;
  #pinnedCount = 0;
  #isToldOfFailure = false;

  constructor(parts: SnapshotsParts) {
    this.#parts = parts;
    this.#copies = new Copies({
      ...parts,
      attach: async (consumer) => this.#attach(consumer),
      tooFast: () => this.#tooFast(),
    });
  }

  /** How many read the live database, in a read transaction. */
  get pinnedCount(): number {
    return this.#pinnedCount;
  }

  /** For how long the oldest copy that is being made has been; undefined when none is. */
  get copyingForMs(): number | undefined {
    return this.#copies.underWayForMs;
  }

  /**
   * From now on everything from the start of the present log is kept for the destination. To be run exclusively.
   *
   * @throws RivuletError `DB_BUSY` when the log changes too fast, `DB_NOT_FOUND`
   */
  async attach(name: string): Promise<Cursor> {
    const { tail } = await this.#attach(name);
    return startOfLog(tail.index);
  }

  async #attach(name: string | symbol): Promise<Following> {
    const { keeper, spoolLimitBytes, follower } = this.#parts;
    for (let attempt = 0; attempt < ATTACH_ATTEMPTS; attempt++) {
      follower.pin();
      const following = await follower.settled();
      const { database, tail } = following;
      keeper.confirm(name, { index: tail.index, offsetBytes: 0 });
      if (tail.position.offsetBytes < spoolLimitBytes) await keeper.capture(database, tail);
      if (tail.isSameLog()) return following;
    }
    throw this.#tooFast();
  }

  /**
   * The database as of some moment after this call. Close it.
   *
   * @throws RivuletError `DB_BUSY`, `DB_NOT_FOUND`; `CANCELLED` when generation `wanted` has ended
   */
  async open(options: SnapshotOptions): Promise<Snapshot> {
    const { wanted, keepFor } = options;
    const assertWanted = ({ generation }: Following): void => {
      if (wanted !== undefined && generation !== wanted)
        throw new RivuletError('CANCELLED', `generation ${wanted} has ended`);
    };
    const request = { ...options, keepFor, assertWanted };
    if (options.isLive === true) {
      const still = await this.#parts.exclusively(async () => this.#openStill(request));
      if (still !== undefined) return still;
    }
    try {
      const snapshot = await this.#copies.open(request);
      this.#isToldOfFailure = false;
      return snapshot;
    } catch (error) {
      if (!(error instanceof CopyFailed)) throw error;
      this.#tellFailure(error);
    }
    return this.#parts.exclusively(async () => this.#openPinned(request));
  }

  /** Undefined for a small database, which is copied in no time, and where something is being committed. */
  async #openStill({ assertWanted, keepFor }: CopyRequest): Promise<Snapshot | undefined> {
    const { follower, keeper, clock, logger, sizes } = this.#parts;
    const begun = await follower.settled();
    assertWanted(begun);
    if (begun.database.file.sizeBytes() <= (sizes?.inMemoryBytes ?? IN_MEMORY_BYTES)) return undefined;
    const following = keepFor === undefined ? begun : await this.#attach(keepFor);
    const { database, tail } = following;
    const assertGoesOn = (): void => void follower.requireSame(following);
    return stillSnapshot(database, tail, keeper.ends.get(tail.index - 1), { clock, logger, assertGoesOn });
  }

  #tellFailure({ message, neededBytes, cause }: CopyFailed): void {
    const { logger, directory } = this.#parts;
    if (this.#isToldOfFailure) return;
    this.#isToldOfFailure = true;
    const whatToDo =
      neededBytes === undefined
        ? (systemHint(cause) ?? `Look at ${directory}.`)
        : `Make room there, ${neededBytes} bytes in all, or set meta-path to a directory on a larger disk.`;
    logger.warn('the database cannot be copied aside: it is read while the snapshot is stored', {
      why: message,
      ...(neededBytes === undefined ? {} : { neededBytes }),
      hint:
        `${whatToDo} Until the snapshot is stored the write-ahead log cannot become shorter, and an application ` +
        'that truncates it has to wait.',
    });
  }

  async #openPinned({ assertWanted, keepFor }: CopyRequest): Promise<Snapshot> {
    const { follower, keeper, machine, clock, logger } = this.#parts;
    if (keepFor !== undefined) await this.#attach(keepFor);
    for (let attempt = 0; attempt < PIN_ATTEMPTS; attempt++) {
      const following = await follower.settled();
      assertWanted(following);
      const { database, tail } = following;
      const pin = (): Snapshot | undefined =>
        pinSnapshot(database, tail, keeper.ends.get(tail.index - 1), { clock, logger });
      const snapshot = attempt < PIN_ATTEMPTS_UNLOCKED ? pin() : database.connections.withWriteLock(pin);
      if (snapshot !== undefined) return this.#counted(snapshot);
      await machine.pause();
    }
    throw this.#tooFast();
  }

  #counted(snapshot: Snapshot): Snapshot {
    this.#pinnedCount++;
    const close = (): void => {
      this.#pinnedCount--;
      snapshot.close();
    };
    return { ...snapshot, close };
  }

  #tooFast(): RivuletError {
    return new RivuletError('DB_BUSY', `${this.#parts.path} changes too fast for a snapshot to begin`);
  }
}
