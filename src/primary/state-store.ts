/** Keeps the local state of one database: what is followed, what destinations have confirmed, where earlier logs ended. */
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { isRivuletError } from '../base/errors.ts';
import { CHECKSUM_START } from '../wal/checksum.ts';
import type { Files } from '../base/files.ts';
import type { Following } from './following.ts';
import type { LocalTrouble } from './local-trouble.ts';
import type { LogTail } from './log-tail.ts';
import type { OpenDatabase } from './open-database.ts';
import type { LogKeeper } from './log-keeper.ts';
import type { Machine } from './machine.ts';
import { pageOneOf } from './overwritten-since.ts';
import { readState, type StateReading, writeState } from './state-file.ts';

export interface StateStoreParts {
  /** Where the file lies. */
  readonly directory: string;
  /** How it is reached. */
  readonly files: Files;
  readonly machine: Pick<Machine, 'bootId'>;
  readonly keeper: Pick<LogKeeper, 'ends' | 'confirmed'>;
  readonly clock: Clock;
  readonly trouble: LocalTrouble;
}

export class StateStore {
  readonly #parts: StateStoreParts;
  readonly #path: string;

  constructor(parts: StateStoreParts) {
    this.#parts = parts;
    this.#path = join(parts.directory, 'state.json');
  }

  /** What the last run has left. To be believed only after comparison with the log. */
  read(): StateReading {
    return readState(this.#path, this.#parts.files);
  }

  /**
   * @param options.durable - whether it must survive a power cut, too, and not only the end of this process
   * @throws Error when it cannot be written
   */
  save({ database, generation, tail, beganBootId }: Following, options: { readonly durable: boolean }): void {
    const { files, machine, keeper } = this.#parts;
    writeState(
      this.#path,
      {
        generation,
        identity: database.file.identity,
        bootId: machine.bootId(),
        beganBootId,
        after: tail.after,
        stamp: this.#stampOf(database, tail),
        pageOne: this.#pageOneOf(database),
        index: tail.index,
        header: tail.headerBytes,
        tailBytes: tail.position.offsetBytes,
        tailChecksum: tail.chain?.checksum ?? CHECKSUM_START,
        ends: keeper.ends,
        confirmed: keeper.confirmed,
      },
      { ...options, files },
    );
  }

  /** Where it cannot be read, the next start knows less. */
  #pageOneOf({ file }: OpenDatabase): string | undefined {
    try {
      return pageOneOf(file);
    } catch (error) {
      if (!isRivuletError(error)) throw error;
      return undefined;
    }
  }

  /** What was followed is not to be continued. Where that cannot be written, whoever is alive must remember it. */
  forget(): void {
    this.#parts.trouble.attempt('state', () => this.#parts.files.remove(this.#path));
  }

  /** Asked for before the index is: what was checkpointed after that is counted there. */
  #stampOf({ file, index }: OpenDatabase, tail: LogTail): string | undefined {
    const stamp = file.stamp(this.#parts.clock.now());
    const reading = index.read();
    if (reading.kind !== 'index' || !tail.hasAllOf(reading.index)) return undefined;
    return reading.index.backfilledFrames >= reading.index.frames ? stamp : undefined;
  }

  /** An older state that stays instead is harmless: what has happened since is in the log, or not proven. */
  saveIfPossible(following: Following, options: { readonly durable: boolean }): void {
    this.#parts.trouble.attempt('state', () => this.save(following, options));
  }
}
