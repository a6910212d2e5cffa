/** Consistent copies of the database for destinations: begun at the present end of the log, and counted while they are open. */
import { RivuletError } from '../base/errors.ts';
import type { Generation } from '../generations/names.ts';
import { type Cursor, startOfLog } from './cursor.ts';
import type { LogFollower } from './log-follower.ts';
import type { LogKeeper } from './log-keeper.ts';
import type { Machine } from './machine.ts';
import { pinSnapshot } from './pin-snapshot.ts';
import type { ReadAgainDeps } from './read-again.ts';
import type { Snapshot } from './snapshot-source.ts';

/** Attempts to begin a snapshot while the log changes; the first few without taking the write lock. */
const PIN_ATTEMPTS = 50;
const PIN_ATTEMPTS_UNLOCKED = 3;
const ATTACH_ATTEMPTS = 20;

export interface SnapshotsParts extends ReadAgainDeps {
  /** The database file. */
  readonly path: string;
  readonly spoolLimitBytes: number;
  readonly machine: Pick<Machine, 'pause'>;
  readonly keeper: LogKeeper;
  readonly follower: Pick<LogFollower, 'settled'>;
}

export class Snapshots {
  readonly #parts: SnapshotsParts;
  #openCount = 0;

  constructor(parts: SnapshotsParts) {
    this.#parts = parts;
  }

  /** How many are open. */
  get openCount(): number {
    return this.#openCount;
  }

  /**
   * From now on everything from the start of the present log is kept for the destination.
   *
   * @throws RivuletError `DB_BUSY` when the log changes too fast, `DB_NOT_FOUND`
   */
  async attach(name: string): Promise<Cursor> {
    const { keeper, spoolLimitBytes, follower } = this.#parts;
    for (let attempt = 0; attempt < ATTACH_ATTEMPTS; attempt++) {
      const { database, tail } = await follower.settled();
      keeper.confirm(name, { index: tail.index, offsetBytes: 0 });
      if (tail.position.offsetBytes < spoolLimitBytes) await keeper.capture(database, tail);
      if (tail.isSameLog()) return startOfLog(tail.index);
    }
    throw this.#tooFast();
  }

  /** @throws RivuletError `DB_BUSY`, `DB_NOT_FOUND`; `CANCELLED` when generation `wanted` has ended */
  async open(wanted: Generation | undefined): Promise<Snapshot> {
    const { clock, logger } = this.#parts;
    for (let attempt = 0; attempt < PIN_ATTEMPTS; attempt++) {
      const { database, tail, generation } = await this.#parts.follower.settled();
      if (wanted !== undefined && generation !== wanted)
        throw new RivuletError('CANCELLED', `generation ${wanted} has ended`);
      const pin = (): Snapshot | undefined =>
        pinSnapshot(database, tail, this.#parts.keeper.ends.get(tail.index - 1), { clock, logger });
      const snapshot = attempt < PIN_ATTEMPTS_UNLOCKED ? pin() : database.connections.withWriteLock(pin);
      if (snapshot !== undefined) return this.#counted(snapshot);
      await this.#parts.machine.pause();
    }
    throw this.#tooFast();
  }

  #counted(snapshot: Snapshot): Snapshot {
    this.#openCount++;
    const close = (): void => {
      this.#openCount--;
      snapshot.close();
    };
    return { ...snapshot, close };
  }

  #tooFast(): RivuletError {
    return new RivuletError('DB_BUSY', `${this.#parts.path} changes too fast for a snapshot to begin`);
  }
}
